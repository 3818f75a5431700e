#!/usr/bin/perl
#
# accuracy.pl
#	  Precision and recall of the scanner, on our own cases and on the
#	  development vectors.
#
# usage: accuracy.pl [--verbose] [--vectors DIR] [--cc COMPILER] [--seed N]
#
# Our own cases (cases.pl) are measured always; the vectors of other projects
# (../shared/vectors/masking beside the project) where they are, and it says so
# where they are not.  Both have to reach the targets.  What is counted:
#
# - An expected span is found (TP) if every character of it that is a letter
#   or digit is covered by findings, whatever their name; else missed (FN).
#   It is masking that is tested, and a name that differs still masks.
# - A finding of the row's own kind that touches no expected span is false
#   (FP).  On a negative row that says only "not a valid X as a whole"
#   (scope: whole-string) it has to cover the whole text to be false.
# - Negative rows of gitleaks count only where its entropy limit or its
#   allow-list rejected the text; the others are negative for one rule only.
# - Rows of entities outside the design's list are not counted, except that
#   findings of a counted kind on them are false.
#
# Exits with 1 if a target of the design is missed.
use strict;
use warnings;
use utf8;
use Cwd qw(abs_path);
use Encode qw(encode_utf8);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Getopt::Long;
use IPC::Open2;
use JSON::PP;

my $root = abs_path(dirname(__FILE__) . '/../..');
my ($verbose, $vectors, $cc, $seed) =
  (0, $ENV{LA_VECTORS} // "$root/../shared/vectors/masking", 'cc', 1);
GetOptions('verbose' => \$verbose, 'vectors=s' => \$vectors, 'cc=s' => \$cc,
	'seed=i' => \$seed)
  or die "usage: accuracy.pl [--verbose] [--vectors DIR] [--cc COMPILER] [--seed N]\n";
binmode STDOUT, ':utf8';
require "$root/test/accuracy/cases.pl";

# Kinds with a target: least precision and recall.
my %target = (
	CREDIT_CARD => [ 0.98, 0.98 ],
	IBAN_CODE => [ 0.98, 0.98 ],
	EMAIL_ADDRESS => [ 0.98, 0.98 ],
	US_SSN => [ 0.98, 0.98 ],
	IP_ADDRESS => [ 0.98, 0.98 ],
	KZ_IIN => [ 0.98, 0.98 ],
	'prefixed keys' => [ 0.98, 0.98 ],
	PHONE_NUMBER => [ 0, 0.85 ],);
# Those that only our own cases have enough of.
my %own_target = (
	%target,
	map { $_ => [ 0.98, 0.98 ] }
	  qw(MAC_ADDRESS CRYPTO DATE_OF_BIRTH RU_PASSPORT US_DRIVER_LICENSE RU_INN
	  NATIONAL_ID KZ_DOCUMENT PASSWORD));
my %secret = map { $_ => 1 }
  qw(API_KEY ACCESS_TOKEN JWT PRIVATE_KEY AUTHORIZATION PASSWORD SECRET
  URL_CREDENTIALS);
my %known = map { $_ => 1 }
  qw(CREDIT_CARD IBAN_CODE KZ_IIN KZ_BIN RU_SNILS US_SSN PHONE_NUMBER
  EMAIL_ADDRESS IP_ADDRESS MAC_ADDRESS CRYPTO US_DRIVER_LICENSE US_PASSPORT
  PERSON);

# Builds the finder and starts it.
my $dir = tempdir(CLEANUP => 1);
system("$cc -O2 -I$root/src $root/test/accuracy/mask_find.c "
	  . "$root/src/mask/[c-k]*.c "
	  . "$root/src/mask/[nrstvw][aceho-u]*.c $root/src/core/sha256.c -lcrypto -lm "
	  . "-o $dir/mask_find") == 0
  or die "could not build mask_find\n";
my $pid = open2(my $from, my $to, "$dir/mask_find");

# The findings in a text: [entity, start, end].
sub find
{
	my ($text) = @_;
	my $bytes = encode_utf8($text);
	my @hits;

	print $to length($bytes), "\n", $bytes;
	$to->flush;
	chomp(my $count = <$from> // die "mask_find ended\n");
	for (1 .. $count)
	{
		my @hit = split /\t/, <$from>;
		push @hits, [ @hit[ 0 .. 2 ] ];
	}
	return @hits;
}

my (%tp, %fn, %fp);

# Tells about one miss or false finding.
sub note_case
{
	my ($what, $kind, $text, $part) = @_;
	return if !$verbose;
	$text =~ s/\s+/ /g;
	$text = substr($text, 0, 200);
	print "# $what $kind: $part | $text\n";
}

# Counts expected spans as found or missed.
sub count_expected
{
	my ($kind, $text, $expect, $hits) = @_;
	for my $span (@$expect)
	{
		my $covered = 1;
		for my $at ($span->[0] .. $span->[1] - 1)
		{
			next if substr($text, $at, 1) !~ /\w/;
			$covered = 0
			  if !grep { $at >= $_->[1] && $at < $_->[2] } @$hits;
		}
		$covered ? $tp{$kind}++ : $fn{$kind}++;
		note_case('missed', $kind, $text,
			substr($text, $span->[0], $span->[1] - $span->[0]))
		  if !$covered;
	}
}

# Counts findings that touch nothing expected as false.
sub count_false
{
	my ($kind, $text, $expect, $hits, $is_kind) = @_;
	for my $hit (@$hits)
	{
		next if !$is_kind->($hit->[0]);
		next if grep { $hit->[1] < $_->[1] && $hit->[2] > $_->[0] } @$expect;
		$fp{$kind}++;
		note_case('false', $kind, $text,
			substr($text, $hit->[1], $hit->[2] - $hit->[1]));
	}
}

sub rows
{
	my ($file) = @_;
	open my $in, '<', "$vectors/$file" or die "$file: $!\n";
	return map { decode_json($_) } <$in>;
}

# Our own cases.
sub measure_own
{
	for my $row (OwnCases($seed))
	{
		my ($kind, $text) = ($row->{entity}, $row->{text});
		my @hits = find($text);
		my $is_kind = $kind eq 'prefixed keys' || $kind eq 'PASSWORD' ?
		  sub { $secret{ $_[0] } } : sub { $_[0] eq $kind };

		count_expected($kind, $text, $row->{expect}, \@hits);
		count_false($kind, $text, $row->{expect}, \@hits, $is_kind);
	}
	return;
}

sub measure_vectors
{
	# Presidio's own tests and those of KZ and RU libraries.
	for my $row (rows('presidio.jsonl'), rows('kz_ru.jsonl'))
	{
		my ($kind, $text) = ($row->{entity}, $row->{text});
		my @hits = find($text);
		my $expect = $row->{expect} // [ [ 0, length $text ] ];
		my $whole = ($row->{scope} // '') eq 'whole-string';

		next if !$known{$kind};
		count_expected($kind, $text, $expect, \@hits);
		@hits = grep { $_->[1] == 0 && $_->[2] == length $text } @hits
		  if $whole && $row->{label} eq 'negative';
		count_false($kind, $text, $expect, \@hits, sub { $_[0] eq $kind });
	}

	# The sentences with labelled spans.
	open my $in, '<', "$vectors/presidio_labelled_dev.json" or die "$!\n";
	my $labelled = decode_json(do { local $/; <$in> });
	for my $row (@$labelled)
	{
		my $text = $row->{full_text};
		my @hits = find($text);
		for my $kind (keys %known)
		{
			my @expect = map { [ $_->{start_position}, $_->{end_position} ] }
			  grep { $_->{entity_type} eq $kind } @{ $row->{spans} };
			my $name = $kind eq 'PERSON' ? 'PERSON (by cues)' : $kind;
			count_expected($name, $text, \@expect, \@hits);
			count_false($name, $text, \@expect, \@hits, sub { $_[0] eq $kind });
		}
	}

	# Secrets.  A key with a prefix is one that is found without its assignment.
	for my $row (rows('gitleaks.jsonl'), rows('detect_secrets.jsonl'))
	{
		my $text = $row->{text};
		my $positive = $row->{label} eq 'positive';
		my $expect = $row->{expect};
		my @hits;
		my $kind = $row->{source} =~ /gitleaks/ ? 'gitleaks' : 'detect-secrets';
		my $is_secret = sub { $secret{ $_[0] } };

		next if $row->{entity} eq 'ip_public';
		next
		  if !$positive
		  && exists $row->{rejected_by}
		  && $row->{rejected_by} !~ /entropy|allowlist/;
		@hits = find($text);
		$expect = [ map { [ $_->[1], $_->[2] ] } grep { $secret{ $_->[0] } } @hits ]
		  if $positive && !defined $expect && @hits;
		$expect = [ [ 0, length $text ] ] if $positive && !defined $expect;
		count_expected($kind, $text, $expect, \@hits);
		count_false($kind, $text, $expect, \@hits, $is_secret) if !$positive;
		if ($positive && @$expect == 1 && $kind eq 'gitleaks')
		{
			my $key = substr($text, $expect->[0][0],
				$expect->[0][1] - $expect->[0][0]);
			next if $key !~ /^(?:sk-|ghp_|gho_|ghu_|ghs_|ghr_|github_pat_|gl[a-z]+-|xox[a-z]|xapp-|AKIA|ASIA|AIza|hf_|npm_|pypi-|SG\.|sk_live|sk_test|rk_|eyJ|pplx-|shp[a-z]+_|NRAK-|PMAK-|hv[sb]\.|sntry[su]_|dop_|doo_|dor_|glc_|glsa_|lin_api|pul-|rubygems_|xkeysib-)/;
			my @alone = find("value $key here");
			count_expected('prefixed keys', "value $key here",
				[ [ 6, 6 + length $key ] ], \@alone);
		}
		count_false('prefixed keys', $text, [], \@hits, $is_secret)
		  if !$positive && ($row->{rejected_by} // '') eq 'entropy';
	}
	return;
}

# The table, and the targets; false if one is missed.
sub report
{
	my ($title, $aims) = @_;
	my $failed = 0;

	printf "%-20s %6s %6s %6s %9s %7s\n", $title, 'found', 'missed', 'false',
	  'precision', 'recall';
	for my $kind (sort keys %{ { %tp, %fn, %fp } })
	{
		my ($t, $m, $f) = map { $_->{$kind} // 0 } \%tp, \%fn, \%fp;
		my $precision = $t + $f ? $t / ($t + $f) : 1;
		my $recall = $t + $m ? $t / ($t + $m) : 1;
		my $aim = $aims->{$kind};
		my $miss = $aim && ($precision < $aim->[0] || $recall < $aim->[1]);
		printf "%-20s %6d %6d %6d %9.3f %7.3f%s\n", $kind, $t, $m, $f,
		  $precision, $recall, $miss ? '  below target' : '';
		$failed ||= $miss;
	}
	for my $kind (keys %$aims)
	{
		next if $tp{$kind};
		print "no case of $kind was found: nothing was measured\n";
		$failed = 1;
	}
	%tp = %fn = %fp = ();
	print $failed ? 'not ok' : 'ok', " - accuracy: $title\n";
	return !$failed;
}

measure_own();
my $good = report('own cases', \%own_target);
if (-f "$vectors/presidio.jsonl")
{
	measure_vectors();
	$good = report('vectors', \%target) && $good;
}
else
{
	print "ok - accuracy: vectors # SKIP there are none at $vectors\n";
}
close $to;
exit($good ? 0 : 1);
