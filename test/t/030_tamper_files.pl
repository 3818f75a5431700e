# The files are edited while the server is down: heap pages, TOAST, indexes,
# with and without data checksums.  verify says where, survives whatever it
# meets, and does not let one bad row hide another.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 200;

# Column "mark" comes first, so that a row is found in the file by its text;
# the columns that a test edits follow it directly.
sub make_ledgers
{
	my ($node) = @_;
	make_database($node, 'audit');
	$node->safe_psql(
		'audit', qq{
		CREATE TABLE entry (mark text, note text, doc jsonb, list int[],
			amount numeric, host inet);
		ALTER TABLE entry ALTER note SET STORAGE EXTERNAL;
		SELECT llm_audit.create_ledger('entry');
		INSERT INTO entry (mark, note, doc, list, amount, host)
			SELECT 'mark' || to_char(i, 'FM0000'), CASE WHEN i % 10 = 0
					THEN repeat('long' || i, 1000) ELSE 'note' || i END,
				jsonb_build_object('key', i, 'list', '[1, "two", null]'::jsonb),
				ARRAY[i, i + 1, i + 2], i + 0.5, '10.0.0.1'
			FROM generate_series(1, $rows) AS i;
		CHECKPOINT;
		});
	my $toast = $node->safe_psql('audit',
		q{SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'entry'::regclass});
	$node->{files} = [ map { file_of($node, $_) }
		  'entry', 'entry_lane_idx', 'entry_id_idx', $toast, "${toast}_index" ];
	return;
}

# Path of the file of a relation.
sub file_of
{
	my ($node, $relation) = @_;
	return $node->data_dir . '/'
	  . $node->safe_psql('audit', "SELECT pg_relation_filepath('$relation')");
}

sub read_binary
{
	my ($path) = @_;
	open(my $file, '<:raw', $path) or die "$path: $!";
	local $/ = undef;
	my $bytes = <$file>;
	close($file);
	return $bytes;
}

sub write_binary
{
	my ($path, $bytes) = @_;
	open(my $file, '>:raw', $path) or die "$path: $!";
	print $file $bytes;
	close($file) or die "$path: $!";
	return;
}

# What verify finds, without ids: one line per finding, sorted.
sub findings
{
	my ($node, $arguments, $columns) = @_;
	$arguments //= '';
	$columns //= 'coalesce(seq::text, detail), finding';
	return $node->safe_psql('audit',
		"SELECT $columns FROM llm_audit.verify($arguments) ORDER BY seq, finding, detail"
	);
}

# The server must have stayed up for all of it.
sub check_no_crash
{
	my ($node, $name) = @_;
	my $log = slurp_file($node->logfile);
	unlike($log, qr/was terminated by signal|PANIC/, "$name: no crash");
	return;
}

# Edits a file by a function from bytes to bytes, and hands it to verify;
# afterwards all files of the ledger are as before.
sub with_edit
{
	my ($node, $path, $edit, $check) = @_;
	$node->stop;
	my %before = map { $_ => read_binary($_) } map { glob("$_ ${_}_*") } @{ $node->{files} };
	my $after = $edit->($before{$path});
	isnt($after, $before{$path}, 'the edit changes the file');
	write_binary($path, $after);
	$node->start;
	$check->();
	$node->stop;
	write_binary($_, $before{$_}) for keys %before;
	$node->start;
	return;
}

# Offset of the row's mark.
sub mark_at
{
	my ($bytes, $row) = @_;
	my $at = index($bytes, sprintf('mark%04d', $row));
	die "no row $row in the file" if $at < 0;
	return $at;
}

# Offset of the tuple header of the row, found through the line pointers.
sub tuple_at
{
	my ($bytes, $row) = @_;
	my $at = mark_at($bytes, $row);
	my $page = int($at / 8192) * 8192;
	my $lower = unpack('S', substr($bytes, $page + 12, 2));
	my ($best, $pointer);
	for (my $p = $page + 24; $p < $page + $lower; $p += 4)
	{
		my $offset = unpack('L', substr($bytes, $p, 4)) & 0x7fff;
		next if $page + $offset > $at;
		($best, $pointer) = ($page + $offset, $p)
		  if !defined $best || $page + $offset > $best;
	}
	return ($best, $pointer);
}

#
# Without checksums: every kind of damage, each in a row of its own, at once.
#
my $node = make_node('plain', autovacuum => 'off');
$node->start;
make_ledgers($node);
is($node->safe_psql('audit', 'SHOW data_checksums'), 'off', 'no checksums here');
is(findings($node), '', 'nothing is wrong at first');
my $entry = file_of($node, 'entry');

# row => what to do with the bytes; $m is where its mark begins
my %damage = (
	3 => [ 'one byte of a text', sub { substr($_[0], $_[1] + 8 + 3, 1) = 'X' } ],
	4 => [
		'length of a short text', sub { substr($_[0], $_[1] + 8, 1) = "\xff" }
	],
	5 => [ 'length of a mark', sub { substr($_[0], $_[1] - 1, 1) = "\xfe" } ],
	# a long text: "mark0010", then a pointer of 18 bytes
	10 => [
		'TOAST value number',
		sub { substr($_[0], $_[1] + 8 + 2 + 8, 4) = "\xde\xad\xbe\x7e" }
	],
	20 => [
		'TOAST table number',
		sub { substr($_[0], $_[1] + 8 + 2 + 12, 4) = "\xde\xad\xbe\x7e" }
	],
	30 => [
		'TOAST raw size', sub { substr($_[0], $_[1] + 8 + 2, 4) = "\xff\xff\xff\x3f" }
	],
	40 => [ 'kind of TOAST pointer', sub { substr($_[0], $_[1] + 8 + 1, 1) = "\x07" } ],
	11 => [ 'header of a jsonb', sub { damage_jsonb(@_, 1, "\xff\xff\xff\x2f") } ],
	12 => [ 'entry of a jsonb', sub { damage_jsonb(@_, 5, "\xff\xff\xff\x0f") } ],
	13 => [ 'kind in a jsonb', sub { damage_jsonb(@_, 8, "\x60") } ],
	51 => [ 'infomask of a tuple', sub { substr($_[0], $_[2] + 20, 1) ^= "\x01" } ],
	52 => [ 'number of attributes', sub { substr($_[0], $_[2] + 18, 2) = "\xff\x07" } ],
	53 => [ 'length of a tuple header', sub { substr($_[0], $_[2] + 22, 1) = "\xf8" } ],
	54 => [ 'short length of a tuple header', sub { substr($_[0], $_[2] + 22, 1) = "\x08" } ],
	61 => [ 'length in a line pointer', sub { damage_pointer(@_, 24) } ],
	71 => [ 'all of a tuple\'s data', sub { substr($_[0], $_[2] + 24, 60) = "\xff" x 60 } ],
	72 => [ 'all zero', sub { substr($_[0], $_[2] + 24, 60) = "\x00" x 60 } ]);

# The jsonb follows mark and note, with a header of one byte.
sub damage_jsonb
{
	my (undef, $mark, undef, undef, $at, $bytes) = @_;
	my $note = ord(substr($_[0], $mark + 8, 1)) >> 1;
	substr($_[0], $mark + 8 + $note + $at, length($bytes)) = $bytes;
	return;
}

# Sets the length in the line pointer.
sub damage_pointer
{
	my (undef, undef, undef, $pointer, $length) = @_;
	my $p = unpack('L', substr($_[0], $pointer, 4));
	substr($_[0], $pointer, 4) = pack('L', ($p & 0x1ffff) | ($length << 17));
	return;
}

with_edit(
	$node, $entry,
	sub {
		my ($bytes) = @_;
		for my $row (sort { $a <=> $b } keys %damage)
		{
			my $mark = mark_at($bytes, $row);
			my ($tuple, $pointer) = tuple_at($bytes, $row);
			$damage{$row}[1]->($bytes, $mark, $tuple, $pointer);
		}
		return $bytes;
	},
	sub {
		for my $workers (0, 2)
		{
			my %found = map { $_ => 1 } split /\n/,
			  findings($node, "'entry', workers => $workers", 'DISTINCT ON (seq) seq');
			for my $row (sort { $a <=> $b } keys %damage)
			{
				ok(delete $found{$row}, "$damage{$row}[0] is found, $workers workers");
			}
			# the row after one that cannot be read may be named, no other
			is(join(' ', sort { $a <=> $b } grep { !$damage{ $_ - 1 } } keys %found),
				'', "no other row is named, $workers workers");
		}
		is( $node->safe_psql('audit', q{SELECT count(*) FROM llm_audit.verify('plain')}),
			'0', 'other ledgers are as they were');
	});
check_no_crash($node, 'damaged tuples');
is(findings($node), '', 'with the old file all is well again');

# A transaction number that nobody knows: the row cannot even be judged.
with_edit(
	$node, $entry,
	sub {
		my ($bytes) = @_;
		my ($tuple) = tuple_at($bytes, 42);
		substr($bytes, $tuple, 4) = "\xff\xff\xff\x7e";
		# no hint bit says that it committed
		my $mask = unpack('S', substr($bytes, $tuple + 20, 2));
		substr($bytes, $tuple + 20, 2) = pack('S', $mask & ~0x0300);
		return $bytes;
	},
	sub {
		like(findings($node, "'entry'"), qr/^42\|row_(altered|missing)$/m, 'unknown transaction');
		unlike(findings($node, "'entry'"), qr/^4[134]\|row/m, 'its neighbours are not named');
	});

# A page header.
with_edit(
	$node, $entry,
	sub {
		my ($bytes) = @_;
		substr($bytes, 8192 + 12, 4) = "\xff\xff\xff\xff";
		return $bytes;
	},
	sub {
		my $found = findings($node, "'entry'", 'finding, seq, detail');
		like($found, qr/^row_altered\|\|block 1 cannot be read/m, 'the page is named');
		like($found, qr/^row_altered\|\d+\|cannot be read: invalid page/m, 'and its rows');
		cmp_ok(scalar(() = $found =~ /^row_altered\|\d+/mg), '<', 100, 'and no others');
	});

# Pages that vanish: the file is cut.
with_edit(
	$node, $entry,
	sub { return substr($_[0], 0, 8192) },
	sub {
		my $found = findings($node, "'entry'", 'finding, seq');
		like($found, qr/^\w+\|$rows$/m, 'a cut file: the last row is named');
		unlike($found, qr/\|3$/m, 'a cut file: the third is not');
	});

#
# Random damage: whatever it is, verify comes to an end and the server lives.
#
srand(20240711);
for my $round (1 .. 6)
{
	with_edit(
		$node, $entry,
		sub {
			my ($bytes) = @_;
			for (1 .. 40)
			{
				substr($bytes, int(rand(length $bytes)), 1) = chr(int(rand(256)));
			}
			return $bytes;
		},
		sub {
			my $found = findings($node, "'entry'", 'finding, seq');
			isnt($found, '', "random damage $round is found");
			is($node->safe_psql('audit', 'SELECT 1'), '1', "random damage $round: alive");
			check_no_crash($node, "random damage $round");
		});
}

#
# Indexes alone.
#
my $lane_index = file_of($node, 'entry_lane_idx');
my $id_index = file_of($node, 'entry_id_idx');

# Entries of the index on (lane, seq): 8 bytes of header, int4, padding, int8.
sub index_entry
{
	my ($bytes, $seq) = @_;
	my $at = 8192;
	while (($at = index($bytes, pack('l x4 q', 0, $seq), $at)) >= 0)
	{
		return $at - 8 if ($at - 8) % 8 == 0;
		$at++;
	}
	die "no entry $seq";
}

with_edit(
	$node, $lane_index,
	sub {
		my ($bytes) = @_;
		my ($a, $b) = (index_entry($bytes, 100), index_entry($bytes, 150));
		(substr($bytes, $a, 6), substr($bytes, $b, 6)) =
		  (substr($bytes, $b, 6), substr($bytes, $a, 6));
		return $bytes;
	},
	sub {
		my $found = findings($node, "'entry'");
		like($found, qr/^100\|index_mismatch$/m, 'two index entries exchanged: the one');
		like($found, qr/^150\|index_mismatch$/m, 'two index entries exchanged: the other');
		unlike($found, qr/row_altered/, 'the rows themselves are as they were');
	});

with_edit(
	$node, $lane_index,
	sub {
		my ($bytes) = @_;
		# entry 100 becomes a second entry for row 101
		my ($a, $b) = (index_entry($bytes, 100), index_entry($bytes, 101));
		substr($bytes, $a, 6) = substr($bytes, $b, 6);
		return $bytes;
	},
	sub {
		like(findings($node, "'entry'", 'seq, finding, detail'),
			qr/^100\|index_mismatch\|the lane index does not lead/m, 'a row hidden from the index');
	});

with_edit(
	$node, $id_index,
	sub {
		my ($bytes) = @_;
		my $id = $node->{hidden_id} =~ s/-//gr;
		my $at = index($bytes, pack('H*', $id), 8192);
		die 'no entry for the id' if $at < 0;
		substr($bytes, $at, 16) = "\xff" x 16;
		return $bytes;
	},
	sub {
		like(findings($node, "'entry'", 'seq, finding, detail'),
			qr/^77\|index_mismatch\|the id index does not lead/m, 'an id changed in the index');
	}) if $node->{hidden_id} =
  $node->safe_psql('audit', 'SELECT id FROM entry WHERE chain_seq = 77');

for my $index ([ $lane_index, 'lane' ], [ $id_index, 'id' ])
{
	with_edit(
		$node,
		$index->[0],
		sub {
			my ($bytes) = @_;
			substr($bytes, 8192, length($bytes) - 8192) =
			  "\x5a" x (length($bytes) - 8192);
			return $bytes;
		},
		sub {
			like(findings($node, "'entry'", 'finding, detail'),
				qr/^index_mismatch\|/m, "an unreadable $index->[1] index is found");
			check_no_crash($node, "unreadable $index->[1] index");
		});
}

#
# TOAST table: rows of it deleted, as far as the file goes.
#
my $toast = $node->{files}[3];
with_edit(
	$node, $toast,
	sub {
		my ($bytes) = @_;
		my $at = index($bytes, 'long100long100');
		substr($bytes, $at, 4) = 'LONG';
		return $bytes;
	},
	sub { is(findings($node, "'entry'"), '100|row_altered', 'one byte in the TOAST table') });
with_edit(
	$node, $toast,
	sub { return "\x00" x length($_[0]) },
	sub {
		my @found = split /\n/, findings($node, "'entry'", 'seq');
		is("@found", join(' ', map { 10 * $_ } 1 .. $rows / 10), 'an empty TOAST table: every long row');
	});
is(findings($node), '', 'with the old files all is well again');
$node->stop;

#
# With checksums: a flipped bit makes the whole page unreadable.
#
my $summed = PostgreSQL::Test::Cluster->new('summed');
$summed->init(extra => [ '--encoding=UTF8', '--no-locale', '--data-checksums' ]);
$summed->append_conf('postgresql.conf',
	"shared_preload_libraries = 'llm_audit'\nllm_audit.databases = 'audit'\n"
	  . "llm_audit.masking = off\nlog_min_messages = warning\nautovacuum = off\n");
$summed->start;
make_ledgers($summed);
is($summed->safe_psql('audit', 'SHOW data_checksums'), 'on', 'checksums here');
my @on_page = split /\n/, $summed->safe_psql('audit',
	q{SELECT chain_seq FROM entry WHERE ctid >= '(1,0)' AND ctid < '(2,0)' ORDER BY 1});
my ($some) = @on_page;
with_edit(
	$summed,
	file_of($summed, 'entry'),
	sub {
		my ($bytes) = @_;
		substr($bytes, mark_at($bytes, $some), 1) ^= "\x01";
		return $bytes;
	},
	sub {
		for my $workers (0, 2)
		{
			my $found = findings($summed, "'entry', workers => $workers", 'seq, finding, detail');
			my @named = $found =~ /^(\d+)\|row_altered\|cannot be read/mg;
			is("@named", "@on_page", "exactly the rows of the page, $workers workers");
			like($found, qr/^\|row_altered\|block 1 cannot be read/m, "and the page, $workers workers");
		}
		# read-only damage does not stop a look at another row
		is( $summed->safe_psql(
				'audit', q{SELECT count(*) FROM llm_audit.verify('entry',
					id => (SELECT id FROM entry WHERE ctid = '(0,2)'))}),
			'0', 'one row on a sound page');
	});
is(findings($summed), '', 'with the old file all is well again');
$summed->stop;

done_testing();
