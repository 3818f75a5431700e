# cases.pl
#	  Our own cases for accuracy.pl: values of each kind, made by the rules of
#	  their formats, in sentences of three languages, in code and in data; and
#	  what looks like them and is none.
#
# OwnCases(SEED) returns rows { text, entity, expect => [[start, end]...] };
# an empty expect says that nothing of that entity is in the text.  The same
# seed gives the same rows on every machine.
use strict;
use warnings;
use utf8;

# ---------------- helpers ----------------

sub pick { return $_[ int(rand(@_)) ]; }

sub digits { return join '', map { int(rand(10)) } 1 .. $_[0]; }

sub chars
{
	my ($set, $len) = @_;
	my @set = split //, $set;

	return join '', map { $set[ int(rand(@set)) ] } 1 .. $len;
}

my $lower = join '', 'a' .. 'z';
my $upper = join '', 'A' .. 'Z';
my $word = $lower . $upper . '0123456789';
my $hex = '0123456789abcdef';

# A text with the value in place of %, and where it is.
sub row
{
	my ($entity, $frame, $value, $expected) = @_;
	my $at = index($frame, '%');
	my $text = $frame;

	substr($text, $at, 1) = $value;
	return {
		text => $text,
		entity => $entity,
		expect => $expected ? [ [ $at, $at + length $value ] ] : []
	};
}

# Places that say nothing about what they hold.
my @plain = (
	'%', 'see %', '(%)', '"%"', "'%'", '%.', '%,', 'a % b', "- %\n- other",
	'{"x": "%"}', "x,%,y", 'Посмотрите %, пожалуйста.', 'Міне % осы.',
	"line one\n%\nline three", '<b>%</b>', 'x=%;', '[%]', "\t%\t", '%!',
	'Is it %?', 'Это %?', 'value: %', '`%`', '| % |', 'row1,%,17', '[1,%,2]',
	'1;%;2', 'k=%&w=1', '«%»');

# ---------------- numbers with check digits ----------------

sub luhn_digit
{
	my ($sum, $twice) = (0, 1);

	for my $d (reverse split //, $_[0])
	{
		my $n = $d * ($twice ? 2 : 1);

		$sum += $n > 9 ? $n - 9 : $n;
		$twice = !$twice;
	}
	return (10 - $sum % 10) % 10;
}

# Brand, prefixes, length, groups as people write them.
my @brands = (
	[ [ 4 ], 16, '4444' ], [ [ 4 ], 13, '' ], [ [ 4 ], 19, '' ],
	[ [ 51 .. 55 ], 16, '4444' ], [ [ 2221, 2345, 2720 ], 16, '4444' ],
	[ [ 34, 37 ], 15, '465' ], [ [ 6011, 644, 65 ], 16, '4444' ],
	[ [ 300, 305, 36, 38 ], 14, '464' ], [ [ 3528, 3589 ], 16, '4444' ],
	[ [ 62 ], 16, '4444' ], [ [ 62 ], 19, '' ], [ [ 2200, 2204 ], 16, '4444' ],
	[ [ 5018, 6304, 6759 ], 16, '4444' ], [ [ 8600 ], 16, '4444' ],
	[ [ 9860 ], 16, '4444' ], [ [ 9792 ], 16, '4444' ],
	[ [ 6521, 6069 ], 16, '4444' ], [ [ 4403, 4400, 5169 ], 16, '4444' ]);

sub grouped
{
	my ($value, $groups, $sep) = @_;
	my @parts;

	for my $n (split //, $groups)
	{
		push @parts, substr($value, 0, $n, '');
	}
	return join $sep, @parts;
}

sub card
{
	my ($prefixes, $len, $groups) = @{ $_[0] };
	my $body = pick(@$prefixes);

	$body .= digits($len - 1 - length $body);
	$body .= luhn_digit($body);
	return $groups ne '' && rand() < 0.5
	  ? grouped($body, $groups, pick(' ', '-', ' ', ' - ', '  ', '.')) : $body;
}

sub card_cases
{
	my @said = (
		'My card is %', 'card number: %', 'Card %, exp 12/28, cvv 123',
		'Номер карты %', 'с карты % не проходит оплата', 'перевыпустите карту %',
		'картам % бұғатталды', 'Карта: %.', 'visa % declined', 'PAN=%',
		'{"card_number": "%", "amount": 100}', 'Please refund to %, thanks');
	my @rows;

	for my $brand (@brands)
	{
		push @rows, row('CREDIT_CARD', pick(@plain, @said), card($brand), 1)
		  for 1 .. 16;
	}
	for (1 .. 60)
	{
		my $body = pick(4, 51, 37, 6011) . digits(20);
		my $wrong = substr($body, 0, 15);

		$wrong .= (luhn_digit($wrong) + pick(1 .. 9)) % 10;
		push @rows, row('CREDIT_CARD', pick(@plain[0 .. 13]), $wrong, 0);
	}
	for (1 .. 20)
	{
		my ($long, $short) = ('62' . digits(16), pick(4, 51, 6011) . digits(20));

		$short = substr($short, 0, 15);
		$short .= luhn_digit($short);
		push @rows, row('CREDIT_CARD', pick('%', 'see %.', 'a,%,b'),
			grouped($long . luhn_digit($long), '6', ' ') . ' ' .
			  substr($long . luhn_digit($long), 6), 1);
		push @rows, row('CREDIT_CARD', pick(@plain[0 .. 13]),
			join('', map { substr($short, 4 * $_, 4) . ($_ < 3 ? pick(' ', '-') : '') }
				  0 .. 3), 1),
		  row('CREDIT_CARD', pick(@plain[0 .. 13]), grouped($short,
				pick('448', '484'), ' '), 1);
		push @rows, row('CREDIT_CARD', pick('%USD', '**%**', '_%_', '*%*', '% 09/27',
				';%=2512101'), $short, 1);
	}
	return @rows, card_negatives();
}

# Numbers with a card's check digit that are something else.
sub card_negatives
{
	my @rows;

	for (1 .. 200)
	{
		my $year = 1990 + int(rand(30));
		my $article = pick('46', '487', '57', '69') . digits(12);
		my $sum = 0;

		$article = substr($article, 0, 12);
		$sum += substr($article, $_, 1) * ($_ % 2 ? 3 : 1) for 0 .. 11;
		$article .= (10 - $sum % 10) % 10;
		push @rows, row('CREDIT_CARD', pick('%', 'item,%,2', '| % |'),
			pick($article, join(' ', $year .. $year + 3),
				digits(8) . ' ' . digits(8), '7' . digits(15),
				pick(8192, 4096, 5000) . ' ' . digits(4) . ' ' . digits(4) . ' ' .
				  digits(5), 'RF' . (10 + int rand 80) . '5' . digits(9)), 0);
	}
	return @rows;
}

# Lengths and the letters at the beginning of an account, by country.
my %iban = (
	AD => '20n', AE => '19n', AL => '24n', AT => '16n', AZ => '4a20n',
	BA => '16n', BE => '12n', BG => '4a14n', BH => '4a14n', BR => '23n1a1n',
	BY => '4a20n', CH => '17n', CR => '18n', CY => '24n', CZ => '20n',
	DE => '18n', DK => '14n', DO => '4a20n', EE => '16n', EG => '25n',
	ES => '20n', FI => '14n', FO => '14n', FR => '23n', GB => '4a14n',
	GE => '2a16n', GI => '4a15n', GL => '14n', GR => '23n', GT => '24n',
	HR => '17n', HU => '24n', IE => '4a14n', IL => '19n', IQ => '4a15n',
	IS => '22n', IT => '1a22n', JO => '4a22n', KW => '4a22n', KZ => '16n',
	LB => '24n', LC => '4a24n', LI => '17n', LT => '16n', LU => '16n',
	LV => '4a13n', MC => '23n', MD => '20n', ME => '18n', MK => '15n',
	MR => '23n', MT => '4a23n', MU => '4a22n', NL => '4a10n', NO => '11n',
	PK => '4a16n', PL => '24n', PS => '4a21n', PT => '21n', QA => '4a21n',
	RO => '4a16n', RS => '18n', SA => '20n', SC => '4a20n3a', SE => '20n',
	SI => '15n', SK => '20n', SM => '1a22n', ST => '21n', SV => '4a20n',
	TL => '19n', TN => '20n', TR => '22n', UA => '25n', VA => '18n',
	VG => '4a16n', XK => '16n');

sub iban
{
	my ($country) = @_;
	my $body = $iban{$country};
	my $rest = 0;

	$body =~ s/(\d+)([an])/$2 eq 'a' ? chars($upper, $1) : digits($1)/ge;
	for my $c (split //, "$body${country}00")
	{
		my $n = $c =~ /\d/ ? $c : ord($c) - 55;

		$rest = ($rest * ($n > 9 ? 100 : 10) + $n) % 97;
	}
	return sprintf '%s%02d%s', $country, 98 - $rest, $body;
}

sub iban_cases
{
	my @said = ('IBAN: %', 'счёт %', 'ИИК %', 'transfer to % today',
		'на счет % переведите', 'account %', '{"iban":"%"}', 'есептік шот %');
	my @rows;

	for my $country (sort keys %iban)
	{
		for (1 .. 4)
		{
			my $value = iban($country);

			$value = join pick(' ', ' ', '-'), $value =~ /(.{1,4})/g
			  if rand() < 0.45;
			$value = lc $value if rand() < 0.1;
			push @rows, row('IBAN_CODE', pick(@plain, @said), $value, 1);
		}
	}
	for (1 .. 40)
	{
		my $wrong = iban(pick(sort keys %iban));

		substr($wrong, 2, 2) = sprintf '%02d', (substr($wrong, 2, 2) + 5) % 97;
		push @rows, row('IBAN_CODE', pick(@plain[0 .. 13]), $wrong, 0);
	}
	for (1 .. 20)
	{
		my $value = iban(pick('DE', 'KZ', 'GB', 'FR'));
		my $country = substr($value, 0, 2);

		push @rows, row('IBAN_CODE', 'IBAN%', $value, 1),
		  row('IBAN_CODE', pick('IBAN: %', 'счёт %'),
			pick(join('  ', $value =~ /(.{1,4})/g),
				join("\n", $value =~ /(.{1,16})/g),
				"$country " . join(' ', substr($value, 2) =~ /(.{1,4})/g)), 1);
	}
	for (1 .. 20)
	{
		my $value = iban(pick('NO', 'DE', 'ES', 'FR'));

		substr($value, 2, 0) = ' ';
		push @rows, row('IBAN_CODE', pick('see %.', '%', "a\t%\tb"),
			join(' ', substr($value, 0, 5), substr($value, 5) =~ /(.{1,4})/g), 1);
	}
	for (1 .. 3000)
	{
		push @rows, row('IBAN_CODE', 'id %',
			join('-', map { chars($hex, $_) } 8, 4, 4) . '-' .
			  pick('be', 'ad', 'ee', 'ae') . chars('0123456789', 2) . '-' .
			  chars($hex, 12), 0);
	}
	return @rows;
}

sub kz_digit
{
	my @d = split //, $_[0];
	my ($one, $two) = (0, 0);

	for my $i (0 .. 10)
	{
		$one += $d[$i] * ($i + 1);
		$two += $d[$i] * (($i + 2) % 11 + 1);
	}
	return $one % 11 < 10 ? $one % 11 : $two % 11;
}

sub iin
{
	my $body;

	do
	{
		$body = sprintf '%02d%02d%02d%d%s', rand(100), 1 + rand(12),
		  1 + rand(28), pick(3 .. 6), digits(4);
	} while kz_digit($body) > 9;
	return $body . kz_digit($body);
}

sub iin_cases
{
	my @said = ('ИИН %', 'ЖСН: %', 'My IIN is %', 'IIN=%', 'иин клиента %',
		'менің ЖСН-ім %', '{"iin": "%"}', 'ИИН: %, тел. 87011234567');
	my @rows;

	push @rows, row('KZ_IIN', pick(@plain, @said), iin(), 1) for 1 .. 200;
	for (1 .. 60)
	{
		my $wrong = iin();

		substr($wrong, 11, 1) = (substr($wrong, 11, 1) + pick(1 .. 8)) % 10;
		push @rows, row('KZ_IIN', pick(@said, 'И.И.Н. %', 'ИИН%'), $wrong, 1);
	}
	push @rows, row('KZ_IIN', 'ИИН: %', join(' ', iin() =~
		  pick(qr/(.{6})(...)(...)/, qr/(..)(..)(..)(.{6})/, qr/(.{6})(.{4})(..)/)),
		1) for 1 .. 20;
	push @rows, row('KZ_IIN', pick('_%_', '**%**', '*%*'), iin(), 1) for 1 .. 20;
	push @rows, row('KZ_IIN', '% ' . digits(4), join(' ', map { digits(4) } 1 .. 3),
		0) for 1 .. 40;
	return @rows, inn_cases();
}

# The numbers of taxpayers in Russia: ten digits need a word, or be all.
sub inn_cases
{
	my @weights = (2, 4, 10, 3, 5, 9, 4, 6, 8);
	my @rows;

	for (1 .. 200)
	{
		my $body = pick(77, 78, 50, 66) . digits(7);
		my $sum = 0;

		$sum += substr($body, $_, 1) * $weights[$_] for 0 .. 8;
		$body .= $sum % 11 % 10;
		push @rows, row('RU_INN', pick('ИНН %', 'ИНН: %', '%', '"inn":"%"'), $body, 1)
		  if $_ <= 40;
		push @rows, row('RU_INN', pick('id=%', 'order % shipped', '[1, %, 3]',
				'код %, сумма', 'ref: %'), $body, 0);
	}
	return @rows;
}

sub ssn_cases
{
	my @said = ('SSN: %', 'My SSN is %', 'social security number %',
		'ssn=%', 'Social Security # %', '{"ssn":"%"}', 'taxpayer id %');
	my @rows;

	for (1 .. 200)
	{
		my $area = sprintf '%03d', pick(1 .. 665, 667 .. 899);
		my ($group, $serial) = (sprintf('%02d', 1 + rand(99)),
			sprintf('%04d', 1 + rand(9998)));

		push @rows, row('US_SSN', pick(@plain, @said), "$area-$group-$serial", 1);
		push @rows, row('US_SSN', pick(@said),
			pick("$area$group$serial", "$area $group $serial"), 1);
	}
	push @rows, row('US_SSN', pick('SSN %', 'ssn is: %'),
		join(' ', split //, '2' . digits(8)), 1) for 1 .. 10;
	push @rows, row('US_SSN', pick('SSN %', 'ssn: %'),
		join(' - ', digits(3), '1' . digits(1), '1' . digits(3)), 1) for 1 .. 20;
	for (1 .. 30)
	{
		my ($two, $four) = (sprintf('%02d', 1 + rand(99)), digits(4));

		push @rows, row('US_SSN', pick(@plain[0 .. 13]), pick("000-$two-$four",
				"666-$two-$four", '123-00-' . (1000 + int rand 9000),
				"123-$two-0000", digits(9), digits(3) . '.' . digits(2)), 0);
	}
	return @rows;
}

# ---------------- telephones ----------------

# National formats: '#' is a digit, a letter-free pattern after the country's
# code.  The first is written with a plus, the second with a word before it.
my %phones = (
	7 => [ '7## ### ## ##', '8 7## ### ## ##' ],
	1 => [ '(4##) 5##-####', '415-5##-####' ],
	44 => [ '7### ######', '07### ######' ],
	49 => [ '15## #######', '030 #######' ],
	33 => [ '6 ## ## ## ##', '06 ## ## ## ##' ],
	39 => [ '3## ### ####', '06 #### ####' ],
	34 => [ '6## ## ## ##', '91 ### ## ##' ],
	31 => [ '6 ########', '020 ### ####' ],
	32 => [ '4## ## ## ##', '02 ### ## ##' ],
	41 => [ '7# ### ## ##', '044 ### ## ##' ],
	43 => [ '6## ######', '01 #######' ],
	48 => [ '5## ### ###', '22 ### ## ##' ],
	420 => [ '6## ### ###', '2## ### ###' ],
	46 => [ '7# ### ## ##', '08-### ### ##' ],
	47 => [ '4## ## ###', '22 ## ## ##' ],
	45 => [ '## ## ## ##', '## ## ## ##' ],
	358 => [ '4# ### ####', '09 ### ####' ],
	380 => [ '50 ### ####', '044 ### ####' ],
	375 => [ '29 ###-##-##', '8017 ###-##-##' ],
	998 => [ '90 ### ## ##', '71 ### ## ##' ],
	996 => [ '7## ### ###', '0312 ### ###' ],
	90 => [ '5## ### ## ##', '0212 ### ## ##' ],
	972 => [ '5#-###-####', '03-###-####' ],
	971 => [ '5# ### ####', '04 ### ####' ],
	966 => [ '5# ### ####', '011 ### ####' ],
	91 => [ '9#### #####', '022 #### ####' ],
	86 => [ '13# #### ####', '010 #### ####' ],
	81 => [ '90-####-####', '03-####-####' ],
	82 => [ '10-####-####', '02-###-####' ],
	65 => [ '9### ####', '6### ####' ],
	61 => [ '4## ### ###', '(02) 9### ####' ],
	64 => [ '21 ### ####', '09 ### ####' ],
	55 => [ '11 9####-####', '(11) 3###-####' ],
	52 => [ '55 #### ####', '55 #### ####' ],
	54 => [ '9 11 ####-####', '011 ####-####' ],
	27 => [ '82 ### ####', '011 ### ####' ],
	234 => [ '80# ### ####', '01 ### ####' ],
	20 => [ '10 ########', '02 ########' ]);

sub phone_cases
{
	my @said = (
		'Call me at %', 'phone: %', 'my phone number is %', 'тел. %',
		'Мой телефон %', 'номер телефона: %', 'телефоным %', 'Tel: %',
		'mobile %', 'моб. %', 'whatsapp % please', '{"phone": "%"}',
		'звоните по номеру %', 'fax %', 'Contact: %', 'dial % for help');
	my @rows;

	for my $code (sort { $a <=> $b } keys %phones)
	{
		for (1 .. 6)
		{
			my ($abroad, $home) = @{ $phones{$code} };

			s/#/int(rand(10))/ge for $abroad, $home;
			$abroad = pick("+$code $abroad", "+$code-" . $abroad =~ s/ /-/gr,
				"+$code" . $abroad =~ s/\D//gr, "+$code $abroad");
			push @rows, row('PHONE_NUMBER', pick(@plain, @said), $abroad, 1);
			push @rows, row('PHONE_NUMBER', pick(@said),
				pick($home, $home =~ s/ /-/gr, $home), 1);
		}
	}
	for (1 .. 15)
	{
		# national forms that need no word
		push @rows, row('PHONE_NUMBER', pick(@plain[0 .. 13]), $_, 1) for
		  map { s/#/int(rand(10))/ger } pick('0532 ### ## ##', '020 7946 ####',
			'0917-###-####', '06 9# 1# 8# 2#', '(0115)496####', '020 7496####',
			'0424.###.###', '(010) 1#####'), '(727) 2##-##-##',
		  '(7172) 5#-##-##', '(4##) 5## ####', '1.415.5##.####', '7495#######';
		push @rows, row('PHONE_NUMBER', pick('teléfono %', 'cellulare %'),
			'6' . digits(8), 1);
		push @rows, row('PHONE_NUMBER', 'городской %',
			digits(3) . '-' . digits(2) . '-' . digits(2), 1);
		push @rows, row('PHONE_NUMBER', "id,%,b", '8 (495) ' . digits(3) . ' ' .
			  digits(2) . ' ' . digits(2), 1);
	}
	return @rows, phone_negatives();
}

sub phone_negatives
{
	my @rows;

	push @rows, row('PHONE_NUMBER', pick(@plain[0 .. 13]), $_, 0) for
	  map { pick(
		sprintf('%04d-%02d-%02d', 1990 + rand(40), 1 + rand(12), 1 + rand(28)),
		sprintf('llm_call_prod_%04d%02d%02d', 2020 + rand(9), 1 + rand(12),
			1 + rand(28)),
		'17' . digits(8), '17' . digits(11), digits(4) . '.' . digits(6),
		sprintf('%d.%d.%d', rand(20), rand(20), rand(400)),
		'order ' . digits(8), 'INV-' . digits(6), '#' . digits(5),
		chars($hex, 40), '1,' . digits(3) . ',' . digits(3),
		'total ' . digits(6), 'page ' . digits(3), digits(5),
		'0.' . digits(9), "0x" . chars($hex, 8)) } 1 .. 120;
	push @rows, row('PHONE_NUMBER', '%', $_, 0) for map { pick(
		'[-12.5+17.' . digits(8) . 'j]', digits(2) . '.0+1.' . digits(8) . 'e-16j',
		'now() + 8640' . digits(4), '(+2147' . digits(6) . ')',
		'C++17 20.19.' . digits(1) . '.7', '2 4 8 16 32 64 128 256 512 1024',
		'трек-номер ' . digits(14), digits(8) . '-4789-a012-' . digits(7) . 'abc01',
		'05 12 23 31 48', '12:14:55+05:00 1718' . digits(6),
		'4e+10 + 123456' . digits(3) . '.0', '8' . digits(3) . '/' . digits(3) . '/' . digits(4)) }
	  1 .. 60;
	return @rows;
}

# ---------------- addresses ----------------

sub email_cases
{
	my @local = ('ivan', 'a.b', 'first.last+tag', 'x_y', 'o\'neil', 'user%host',
		'1234567890', 'a-b', '_x', 'john.q.public', 'Имя', 'postmaster', 'a!b',
		'{curly}', 'x~y', 'q');
	my @domain = ('xn--e1afmkfd.xn--p1ai', '[192.0.2.17]', 'bank.kz', 'mail.example.co.uk', 'a.io', 'xn--80ak6aa92e.com',
		'sub.domain.museum', 'пример.рф', '1and1.de', 'ex-ample.org',
		'EXAMPLE.COM', 'x.y.z.dev', 'company.technology', 'университет.қаз');
	my @said = ('email: %', 'write to % please', 'Почта %.', 'mailto:%',
		'<%>', '%;', 'поштам %,', '{"email":"%"}', 'cc=%');
	my @rows;

	for my $local (grep { !/%/ } @local)
	{
		push @rows, row('EMAIL_ADDRESS', pick(@plain, @said),
			$local . '@' . $_, 1) for @domain;
	}
	push @rows, row('EMAIL_ADDRESS', pick(@plain[0 .. 13]), $_, 0) for
	  'user@localhost', '@handle', 'a@', '@decorator', 'icon@2x.png', 'a @ b.c',
	  'git@', 'x@1', 'foo@.com', 'me@@x', '5 @ 3.20', 'name at example',
	  'git@github.com:org/repo.git', 'ssh://git@gitlab.com/a/b', 'vue@3.3.4.tgz',
	  '{"a"@b}';
	push @rows, row('EMAIL_ADDRESS', pick('to %', '<%>', 'a; %; b', '%'),
		'"' . pick('john smith', 'first last', 'anna m. lee') . '"@' .
		  pick('bank.kz', 'example.org', 'xn--e1afmkfd.xn--p1ai'), 1) for 1 .. 20;
	return @rows;
}

sub ip_cases
{
	my @said = ('ip %', 'from % port 22', 'host=%', 'Адрес %', 'ping %',
		'http://%/', '%:8080', '%/24', 'client: %');
	my @rows;

	for (1 .. 120)
	{
		my $four = join '.', map { int(rand(256)) } 1 .. 4;

		push @rows, row('IP_ADDRESS', pick(@plain, @said), $four, 1);
	}
	for (1 .. 120)
	{
		my @groups = map { chars($hex, 1 + rand(4)) } 1 .. 8;
		my $cut = 1 + int(rand(6));
		my $six = pick(join(':', @groups),
			join(':', @groups[0 .. $cut - 1]) . '::' .
			  join(':', @groups[$cut + 1 .. 7]),
			'fe80::' . chars($hex, 4) . ':' . chars($hex, 4),
			'fe80::' . chars($hex, 3) . ':1%eth0',
			'2001:db8::' . (1 + int(rand(99))),
			'::ffff:' . join('.', map { int(rand(256)) } 1 .. 4));

		push @rows, row('IP_ADDRESS', pick(@plain[0 .. 13], 'ip % up', '[%]:443',
				'addr=%', 'inet6 %/64'), rand() < 0.2 ? uc $six : $six, 1);
	}
	push @rows, row('IP_ADDRESS', pick(@plain[0 .. 13]), $_, 0) for
	  '256.1.1.1', '1.2.3', 'version 1.2.3.4', 'v10.1.2.3', '12:30:45',
	  'std::vector', 'a::b', '1.2.3.4.5', '2024-01-02T03:04:05',
	  '1.3.6.1.4.1.311', '300.300.300.300', 'Foo::Bar::baz', '1.2.3-4',
	  'Firefox/115.0.1.2', '1.2.3.4-beta', 'abc::def', 'section 1.2.3.4',
	  'AssemblyVersion("1.0.0.0")', 'redis 7.0.12.1-r0',
	  '10:20:30.123', '::', '3:2', 'x:1', '00:1A:2B:3C:4D:5E', 'x[::2]',
	  'a[1::2, ::3]', 'int[::1]', '{0::}', 'v[..., ::4]', '2001:db8::256.1.1.1',
	  '::ffff:192.168.1';
	for (1 .. 60)
	{
		my $four = join '.', 11 + int(rand(20)), map { int(rand(30)) } 1 .. 3;
		my $other = join '.', map { 1 + int(rand(9)) } 1 .. 4;

		push @rows, row('IP_ADDRESS', pick('%', 'see %'), pick("pkg==$four",
				"numpy>=$four", "lib~=$four", "jdk-$four", "foo-$four.tar.gz",
				"java 11.0.2.$_", "firmware: 3.$other", "Version=\"$four\"",
				"<version>$four</version>", "upgrade to 3.$other",
				"section-$other", "§ $other", "п. $other", "раздел $other",
				"версии $four", "clause $other", "## $other Title",
				"$four.zip", "Table $other", "версия ядра $four",
				"firmware 3.1.0.$_ -> 3.1.1.$_", "version 2.0.0.$_ to 2.0.1.$_"),
			0);
		$four = join '.', 11 + int(rand(200)), map { int(rand(256)) } 1 .. 3;
		push @rows, row('IP_ADDRESS', pick('src_ip==%', 'peer=/%:5432', '_%_',
				'%-10.0.0.20', '10.0.0.1-%', 'ip-адрес:%', '%->gate.example',
				'Java client %', 'hosts: %'), $four, 1);
		push @rows, row('IP_ADDRESS', pick('%', 'ping6 %', '**%**'),
			pick("fe80::$_%br-lan", "fe80::" . chars($hex, 4) . '%3', "::$four",
				"::ffff:$four", "2001:db8::$four", "2001:db8:1::$_", "${_}::"), 1);
	}
	return @rows;
}

# ---------------- keys ----------------

# Prefix, alphabet, least and greatest length of what follows.
my @keys = (
	[ 'sk-ant-api03-', "$word-_", 93, 93 ], [ 'sk-proj-', "$word-_", 48, 120 ],
	[ 'sk-', $word, 48, 48 ], [ 'sk-or-v1-', $hex, 64, 64 ],
	[ 'sk-lf-', $hex, 32, 32 ], [ 'sk-svcacct-', "$word-_", 60, 100 ],
	[ 'gsk_', $word, 52, 52 ], [ 'xai-', $word, 80, 80 ],
	[ 'hf_', $lower . $upper, 34, 34 ], [ 'pplx-', $word, 48, 48 ],
	[ 'AIza', "$word-_", 35, 35 ], [ 'AKIA', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567',
		16, 16 ], [ 'ASIA', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16, 16 ],
	[ 'ghp_', $word, 36, 36 ], [ 'gho_', $word, 36, 36 ],
	[ 'ghs_', $word, 36, 36 ], [ 'github_pat_', "$word", 82, 82 ],
	[ 'glpat-', "$word-_", 20, 20 ], [ 'glrt-', "$word-_", 20, 20 ],
	[ 'xoxb-', '0123456789', 12, 12, '-', $word, 24 ],
	[ 'xoxp-', '0123456789', 12, 12, '-', $word, 32 ],
	[ 'xapp-1-A', "$upper" . '0123456789', 10, 10, '-', $hex, 64 ],
	[ 'sk_live_', $word, 24, 99 ], [ 'rk_live_', $word, 24, 99 ],
	[ 'sk_test_', $word, 24, 24 ], [ 'whsec_', $word, 32, 32 ],
	[ 'npm_', $word, 36, 36 ], [ 'pypi-AgEIcHlwaS5vcmc', "$word-_", 60, 90 ],
	[ 'SG.', "$word-_", 22, 22, '.', "$word-_", 43 ],
	[ 'dop_v1_', $hex, 64, 64 ], [ 'shpat_', $hex, 32, 32 ],
	[ 'glsa_', $word, 32, 32, '_', $hex, 8 ], [ 'hvs.', "$word-_", 90, 100 ],
	[ 'dapi', $hex, 32, 32 ], [ 'lin_api_', $word, 40, 40 ],
	[ 'NRAK-', $upper . '0123456789', 27, 27 ], [ 'PMAK-', $hex, 24, 24, '-',
		$hex, 34 ], [ 'rubygems_', $hex, 48, 48 ], [ 'pul-', $hex, 40, 40 ],
	[ 'sntrys_', "$word+/", 100, 120 ], [ 'sntryu_', $hex, 64, 64 ],
	[ 'xkeysib-', $hex, 64, 64, '-', $word, 16 ], [ 'ya29.', "$word-_", 60, 100 ],
	[ 'GOCSPX-', "$word-_", 28, 28 ], [ 'LTAI', $word, 20, 20 ],
	[ 'dckr_pat_', "$word-_", 27, 27 ], [ 'figd_', "$word-_", 40, 40 ],
	[ 'nvapi-', "$word-_", 64, 64 ], [ 'r8_', $word, 37, 37 ],
	[ 'tvly-', $word, 32, 32 ], [ 'lsv2_pt_', $hex, 32, 32, '_', $hex, 10 ],
	[ 'ATATT3', "$word-_=", 186, 186 ], [ 'pscale_tkn_', "$word-_", 43, 43 ],
	[ 'CCIPAT_', $word, 22, 22, '_', $hex, 40 ], [ 'tfp_', $word, 59, 59 ],
	[ 'EZAK', $word, 54, 54 ], [ 'doo_v1_', $hex, 64, 64 ],
	[ 'HRKU-AA', "$word-_", 58, 58 ], [ 'sgp_', $hex, 40, 40 ],
	[ 'aio_', $word, 28, 28 ], [ 'apify_api_', $word, 36, 36 ],
	[ 'sbp_', $hex, 40, 40 ], [ 'tskey-auth-', $word, 24, 40 ],
	[ 'phx_', $word, 43, 43 ], [ 'bkua_', $hex, 40, 40 ],
	[ 'NRIQ-', "$word-_", 32, 32 ], [ 'sq0atb-', "$word-_", 22, 22 ],
	[ 'LS0tLS1CRUdJTiBSU0EgUFJJVk', "$word+/", 900, 1200 ],
	[ 'AGE-SECRET-KEY-1', 'QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L', 58, 58 ],
	[ 'pa-', "$word-_", 43, 43 ], [ 'wandb_v1_', $word, 77, 77 ],
	[ 'e2b_', $hex, 40, 40 ], [ 'fc-', $hex, 32, 32 ],
	[ 'sess-', $word, 40, 40 ], [ 'whsec_', "$word+/", 32, 32 ],
	[ 'xoxe.xoxp-1-', "$word-+/", 160, 160 ], [ 'AKID', $word, 32, 32 ],
	[ 'cio', $word, 32, 32 ], [ 'y0_', "$word-_", 56, 56 ],
	[ 'EAA', $word, 160, 200 ], [ 'vcp_', $word, 24, 56 ],
	[ 'ghs_1234_eyJ', "$word-_", 100, 200, '.eyJ', "$word", 90 ],
	[ 'llx-', "$word-_", 48, 48 ], [ 'PMAT-', $upper . '0123456789', 26, 26 ],
	[ 'sb_secret_', "$word-_", 31, 31 ], [ 'PLAK', $hex, 32, 32 ],
	[ 'SUA', $upper . '234567', 55, 55 ], [ 'hvr.', "$word-_", 90, 100 ],
	[ 'apk_user_', $word, 80, 90 ], [ 'CCDB1_', $word, 22, 22, '_', $word, 40 ],
	[ 'SWMTKN-1-', $lower . '0123456789', 50, 50, '-', $lower, 25 ],
	[ 'pat-na1-', $hex, 8, 8, '-' . chars($hex, 4) . '-4abc-9def-', $hex, 12 ],
	[ 'hooks.slack.com/workflows/T01', $upper, 8, 8, '/A01', $word, 40 ]);

# Those that are known by what is within.
my @formed = (
	sub { return chars($word, 76) . 'AZDO' . chars($word, 4) },
	sub { return chars("$word/", 76) . '+ASt' . chars($word, 6) . '==' },
	sub { return 'Z' . chars($word, 13) . '.atlasv1.' . chars("$word-_", 66) . 'a' },
	sub { return chars($hex, 9) . '1msh' . chars($hex, 15) . 'p1' . chars($hex, 6)
		  . 'jsn' . chars($hex, 12) });

sub key_value
{
	my ($prefix, $set, $least, $most, $join, $second, $len) = @{ $_[0] };
	my $body = chars($set, $least + int(rand($most - $least + 1)));

	substr($body, -1) = 'a' if $body =~ /[-_]$/;
	$body .= $join . chars($second, $len - 1) . '7' if defined $join;
	return $prefix . $body;
}

sub key_cases
{
	my @said = (
		'my key is %', 'OPENAI_API_KEY=%', 'Authorization: Bearer %',
		'curl -H "X-Api-Key: %" https://api.example.com', 'ключ % не работает',
		'export TOKEN="%"', 'const k = \'%\';', '{"api_key": "%"}',
		'token: %', 'Менің кілтім %', 'https://x.example/?key=%&a=1',
		"key:\n  %\n", 'use % now.', 'client = Client("%")');
	my @rows;

	for my $key (@keys)
	{
		push @rows, row('prefixed keys', pick(@plain, @said), key_value($key), 1)
		  for 1 .. 8;
	}
	for my $make (@formed)
	{
		push @rows, row('prefixed keys', pick(@plain, @said), $make->(), 1)
		  for 1 .. 8;
	}
	push @rows, row('prefixed keys', pick(@plain[0 .. 13]), $_, 0) for (
		's.AcceptanceTimeoutSeconds', 'dapiDataGetTopLongShortPositionRatio',
		'sk-xxxxxxxxxxxxxxxxxxxxxxxx', 'ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
		'sk-...', 'AIza', 'sk-learn', 'hf_hub_download', 'npm_config_registry',
		'glpat-', 'xoxb-', 'sk-************', 'key-value', 'pk_index',
		'sk-your-api-key-here', 'test_everything_works', 'live_update_enabled',
		'AKIAXXXXXXXXXXXXXXXX', 'SG.', 'dapi', 's.length', 'ya29.',
		map({ pick(chars($hex, 40), chars($hex, 64), chars($hex, 32),
				join('-', map { chars($hex, $_) } 8, 4, 4, 4, 12),
				'sha256:' . chars($hex, 64), '#' . chars($hex, 6),
				'/usr/lib/' . chars($lower, 12) . '.so', 'v' . int(rand(9)) . '.1.0',
				'QmFz' . chars($word, 24), '2024-05-17T12:30:45.123Z',
				'https://example.com/' . chars($lower, 20),
				chars($lower, 10) . '_' . chars($lower, 8) . '()') } 1 .. 100));
	return @rows;
}

# ---------------- MAC, wallets ----------------

sub mac_cases
{
	my @rows;

	for (1 .. 120)
	{
		my $value = chars($hex, 12);

		$value = uc $value if rand() < 0.4;
		$value = pick(join(':', $value =~ /../g), join('-', $value =~ /../g),
			join('.', $value =~ /..../g));
		push @rows, row('MAC_ADDRESS', pick(@plain, 'ether %', 'MAC %.'),
			$value, 1) if $value =~ /\d/ && $value =~ /[a-f]/i;
	}
	push @rows, row('MAC_ADDRESS', $_, 'EE-FA-1B-2C-3D-4E', 1) for @plain;
	push @rows, row('MAC_ADDRESS', pick('MAC: %', 'Hardware address: %',
			'physical address is %', 'ether % txqueuelen', 'мак-адрес %'),
		pick(join('-', map { chars('ABCDEF', 2) } 1 .. 6),
			join('.', map { chars('abcdef', 4) } 1 .. 3), chars($hex, 12)), 1)
	  for 1 .. 30;
	push @rows, row('MAC_ADDRESS', '%.', 'c48d.8967.b8ca', 1),
	  row('MAC_ADDRESS', 'addr:%', '98:62:5E:A3:13:5F', 1);
	push @rows, row('MAC_ADDRESS', pick(@plain[0 .. 13]), $_, 0) for
	  '00:11:22:33:44', '00-11-22-33-44', '0g:11:22:33:44:55', '10:20:30',
	  '2024-05-17-12-30-11', '1234.5678.9abc.def0', 'ab.cd.ef',
	  map { join('-', map { chars($hex, $_) } 8, 4, 4, 4, 12) } 1 .. 20;
	return @rows;
}

# Made beforehand, with nobody's key: what they end with is a hash of a hash.
my @wallets = (
	'1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2', '3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy',
	'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4',
	'tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx',
	'TESHq6zKRSRnDQTHRZWMK9FV9cGaeJWKKX',
	'TKYeGxNCzukKEi4MUtDhfTPUrYD27g1iqy',
	'LTd5XG3vdTn2T8cUF5a5kwvSqmjVMWTgyB',
	'LLbsgMA8JzPmfBVbiSC9uXAr4iH72fhDzV',
	'ltc1q4t0qmalzhn05w5rk323wx8jsrk4p5dfwk2nt5t',
	'DLwSaYxS7sAMP7119CQbFXAu7fSG9pWV9D',
	'DNX73mrNJ4QCdwSHdaHcrEGJsXTxwYhGWp');

sub crypto_cases
{
	my @rows;

	for my $wallet (@wallets)
	{
		my $wrong = $wallet;

		substr($wrong, -2) = substr($wallet, -2) eq 'xx' ? 'yy' : 'xx';
		push @rows, row('CRYPTO', pick(@plain), $wallet, 1) for 1 .. 8;
		push @rows, row('CRYPTO', pick(@plain[0 .. 13]), $wrong, 0);
	}
	push @rows, row('CRYPTO', pick(@plain), '0x' . chars($hex, 40), 1)
	  for 1 .. 20;
	push @rows, row('CRYPTO', pick(@plain[0 .. 13]),
		pick('L', 'M', 'D', 'T', '1', '3') . chars($word, 33), 0) for 1 .. 20;
	return @rows;
}

# ---------------- dates of birth, documents, passwords ----------------

sub birth_cases
{
	my @said = ('DOB: %', 'D.O.B. %', 'born on %', 'date of birth is %',
		'{"birth_date":"%"}', 'родился %', 'Дата рождения: %', 'Д/р: %',
		'туған күні %', 'туғанмын: %', 'мой день рождения %');
	my @rows;

	for (1 .. 120)
	{
		my ($y, $m, $d) = (1930 + int(rand(80)), 1 + int(rand(12)),
			1 + int(rand(28)));
		my $value = pick(sprintf('%04d-%02d-%02d', $y, $m, $d),
			sprintf('%02d.%02d.%04d', $d, $m, $y), "$d May $y", "May $d, $y",
			"${d}th of March $y", "$d мая $y", "$d қаңтар $y",
			"$y жылғы $d наурыз", "$y жылы $d мамыр");

		push @rows, row('DATE_OF_BIRTH', pick(@said), $value, 1);
		push @rows, row('DATE_OF_BIRTH', pick('% г.р.', '% туған',
				'% года рождения'), pick("$d мая $y", "$y жылғы $d наурыз",
				"$d қаңтар $y"), 1);
	}
	for (1 .. 20)
	{
		my ($y, $m, $d) = (1930 + int(rand(80)), sprintf('%02d', 1 + rand(12)),
			sprintf('%02d', 1 + rand(28)));

		push @rows, row('DATE_OF_BIRTH', pick('geb. %', 'geboren am %', 'né le %',
				'née le %', 'nacido el %', 'nato il %', 'Geburtsdatum: %', 'род. %',
				'data de nascimento: %'), "$d.$m.$y", 1),
		  row('DATE_OF_BIRTH', pick('born %', 'D.O.B.: %'), "May $d $y", 1),
		  row('DATE_OF_BIRTH', pick('BDAY:%', 'birth date %'), "$y$m$d", 1);
		# another date in the same sentence
		push @rows, {
			text => "born on $d.$m.$y, joined on 17.05.2021",
			entity => 'DATE_OF_BIRTH', expect => [ [ 8, 18 ] ]
		};
	}
	push @rows, row('DATE_OF_BIRTH', 'due on %', '17 May 2024', 0),
	  row('DATE_OF_BIRTH', 'договор от %', '17 мая 2024', 0);
	return @rows;
}

sub document_cases
{
	my @rows;

	for (1 .. 30)
	{
		push @rows, row('RU_PASSPORT', pick('паспорт %', 'паспорт серии %, выдан'),
			join(pick(' № ', ' номер ', ' N ', ' '),
				pick(digits(4), digits(2) . ' ' . digits(2)), digits(6)), 1);
		push @rows, row('US_DRIVER_LICENSE', pick('DL# %', 'driver license %'),
			chars($upper, 1) . join('-', digits(3), digits(4), digits(4)), 1);
		push @rows, row('NATIONAL_ID', pick('AVS: %', 'ahv %'),
			join('.', 756, digits(4), digits(4), digits(2)), 1);
		push @rows, row('NATIONAL_ID', pick('isikukood %', 'CNP %', 'ІПН %',
				'AMKA %', 'rijksregisternummer %'), '4' . digits(10), 1);
		push @rows, row('RU_PASSPORT', 'серия %, выдан', digits(4) . ' № ' .
			  digits(6), 1);
		push @rows, row('NATIONAL_ID', pick('%', 'see %.', 'a,%,b'), pick(
				join(' ', 'AB', '1' . digits(1), digits(2), digits(2), 'C'),
				'JG ' . digits(6) . ' D',
				"27ABCFE" . digits(4) . 'F1Z5',
				'1EG4-TE5-MK' . digits(2), '1EG4TE5MK' . digits(2),
				'MORGA657054SM9IJ', 'SMITH703154AB1CD', '15070649C103'), 1);
		push @rows, row('NATIONAL_ID', pick('%', 'see %.'), pick(
				'AB 12 34 56 Z', 'at 12 34 56 pm', '99ABCFE1234F1Z5',
				'1EG4-TE5-MK7', 'IO 12 34 56 A', '15070649C104'), 0);
		push @rows, row('KZ_DOCUMENT', pick('жеке куәлігім %', 'удв %'),
			'0' . digits(8), 1);
	}
	return @rows;
}

sub password_cases
{
	my @said = ('құпия сөз: %', 'менің құпия сөзім %', 'пароль %',
		'user.setPassword("%")', 'the password for the router is %',
		'host=db password=% dbname=x', 'mysql --password=% db', 'password=%;',
		'Authorization: SSWS %');
	my @rows;

	push @rows, row('PASSWORD', pick(@said), digits(3) . chars($lower, 4) .
		  chars($upper, 3) . digits(2), 1) for 1 .. 80;
	push @rows, row('PASSWORD', pick('password=% dbname=x', '--password=% db'),
		chars($lower, 9), 1) for 1 .. 10;
	push @rows, row('PASSWORD', 'const masterKey1 = 0; demoKey := "%"',
		chars($word, 30) . '42', 1) for 1 .. 10;
	push @rows, row('PASSWORD', "client_secret='%'", chars($word, 1500), 1);
	push @rows, row('PASSWORD', pick('password: %', 'db_password = %'), $_, 0)
	  for '!secret db_password', '#{password}', 'file:///run/secrets/x',
	  '/run/secrets/db', 'ENC[x]', 'Optional[str]', 'request.form["p"]', 'str',
	  'prompt', 'true';
	return @rows;
}

# Passwords that are given to commands.
my @commands = (
	'mysql -u root -p% app', "mysqldump -h db -uroot -p'%' app > x.sql",
	'sshpass -p % ssh app@db', "sshpass -p'%' scp f app\@db:/tmp",
	'redis-cli -h db -p 6379 -a % ping', 'docker login -u ci -p % r.example.org',
	'mongosh -u admin -p % --authenticationDatabase admin',
	'ldapsearch -x -D cn=admin,dc=x -w % -b dc=x', 'sqlcmd -S db -U sa -P "%"',
	'sqlplus app/%@db:1521/XE', 'htpasswd -b .htpasswd app %',
	'lftp -u app,% ftp.example.org',
	'openssl rsa -in k.pem -passin pass:%', 'keytool -list -storepass % -v',
	'unzip -P % a.zip', 'plink -ssh app@db -pw % ls', 'net user app % /add',
	'rabbitmqctl add_user app %', 'xfreerdp /u:app /p:% /v:db',
	'echo % | sudo -S apt update', 'echo "app:%" | sudo chpasswd',
	"echo '%' | docker login -u ci --password-stdin", 'wpa_passphrase Home %',
	'curl -H "X-Id: 7" -u app:% https://x.example',
	'curl --proxy-user app:% -x proxy:3128 https://x.example',
	'evil-winrm -i db -u app -p %', 'snmpwalk -v3 -u app -A % db',
	'docker exec db bash -c "mysql -uroot -p%"', '["mysql", "-u", "root", "-p%"]',
	'run sshpass -p % ssh db, then', '$ psexec \\\\db -u app -p % cmd',
	"mysql \\\n  -u root \\\n  -p%\n");

# And options that are something else there.
my @no_passwords = (
	'mysql -u root -p app', 'docker run -p 8080:80 nginx', 'ssh -p 2222 app@db',
	'redis-cli -p 6379 ping', 'curl -u $USER:$PASS https://x.example',
	'sshpass -p $PASS ssh db', 'mkdir -p /var/lib/app1', 'git add -p file1',
	'docker run -p 127.0.0.1:80:80 nginx', 'echo build2024 | tee log',
	'sshpass -e ssh db1', 'curl -u test:test http://localhost',
	'mysql -p${PASS} app1', 'net user app1', 'helm -n prod1 list',
	'vault login -method=oidc', 'echo "curl mysql docker1 echo2"');

sub command_cases
{
	my @rows;

	for my $frame (@commands)
	{
		push @rows, row('PASSWORD', $frame, pick(chars($lower, 5) . digits(3),
				chars($upper, 1) . chars("$word-_.", 10) . digits(1),
				chars($lower, 6) . '_' . chars($lower, 5) . digits(2)), 1)
		  for 1 .. 3;
	}
	push @rows, row('PASSWORD', '%', $_, 0) for @no_passwords;
	# what stands before the value has findings of its own
	for my $frame ("curl -H 'X-Api-Key: %' -u %", 'mysql -u app -p% && mysql -p% a')
	{
		for (1 .. 3)
		{
			my ($first, $second) = (chars($word, 24) . '42', 'app:' . chars($word, 9));
			my $row = row('PASSWORD', $frame, $first, 1);
			my $more = row('PASSWORD', $row->{text}, $second, 1);

			unshift @{ $more->{expect} }, $row->{expect}[0];
			push @rows, $more;
		}
	}
	return @rows;
}

# Secrets as prose, configuration and code name them.  In each frame % is a
# password, in those of the second list a token.
my @spoken = (
	'the password for the router at home is: %', 'password (prod): %',
	'I use % as my password', 'my pwd is %', 'Wi-Fi key: %', 'pw: %',
	'Here are the creds: admin / %', 'credentials - root/%', 'Wi-Fi: Guest / %',
	'security answer: %', '<b>Password:</b> %', 'password for root = %',
	'the secret is %', 'our token is %', 'Пароль от почты: %',
	'пароль от вайфая %', 'пароль для базы %', 'пароль к серверу db1.local: %',
	'пароль администратора: %', 'пароль у меня такой: %', 'пароль root: %',
	'кодовое слово: %', 'мой пасс %', 'учётка admin / %', 'доступы: admin:%',
	'Логин/пароль: admin/%', 'секретное слово - %', 'кілт сөз: %',
	'құпия код: %', 'bindpw %', 'requirepass %', 'REGISTRY_DEFAULT_PASS=%',
	"- name: DB_PASSWORD\n  value: %", "env:\n  - name: API_SECRET\n    value: \"%\"",
	'{"adminPassword": {"value": "%"}}', "variable \"password\" {\n  default = \"%\"\n}",
	'<property name="db.password">%</property>', '<entry key="api.secret">%</entry>',
	"<key>password</key>\n<string>%</string>", '<Password Type="x">%</Password>',
	'new NetworkCredential("app", "%")', 'HTTPBasicAuth("app", "%")',
	"mysqli_connect('db', 'app', '%', 'app')", "new PDO('mysql:host=db', 'app', '%')",
	'DriverManager.getConnection(url, "app", "%")', 'auth=("app", "%")',
	'server.login("app@example.org", "%")', "CREATE USER app IDENTIFIED BY '%'",
	'ConvertTo-SecureString "%" -AsPlainText', 'jwt.sign(claims, "%", options)',
	'password: str = "%"', 'PASSWORD: Optional[str] = "%"', 'secret = b"%"',
	'api_key: str = Field("%")', 'JwtSecret: []byte("%")', '.password("%")',
	'os.environ.get("DB_PASS") or "%"', 'const pass = process.env.PASS || "%"',
	'find("#password").send_keys("%")', 'get("[name=password]").type("%")',
	'-Password % -Force', 'app:%@tcp(db:3306)/app', 'jdbc:oracle:thin:app/%@db:1521:XE',
	'ftp_login($c, "app", "%")', 'password = os.getenv("PW") or "%"',
	'mot de passe : %', 'test account app / %', 'мой пароль такой - %',
	'rootpw %', 'enable secret %', 'one-time password: %', 'PATH=x; curl -su app:% https://x',
	'mosquitto_pub -u app -P % -t x', 'imap.login(user, "%")',
	'UsernamePasswordCredentials("app", "%")', 'ssh.connect(host, 22, "app", "%")',
	'expect(password).to eq("%")', 'check_password_hash(hash, "%")',
	'bcrypt.hashpw(b"%", salt)', 'Here is my password, %, please',
	'credentials are app / %', 'login & password: app %', 'password ("%") is rejected',
	'пароль будет %', 'пароль wi-fi %', 'пароль по умолчанию %',
	'мой пароль от почты a@b.kz %', 'доступ к серверу: app / %',
	'данные для входа: app / %', 'құпия сөз ретінде % қойдым',
	'postgres://app:%#?@db/app', 'password=%&x-y', "SET PASSWORD FOR app = '%'");
my @spoken_tokens = (
	'the token you gave me, %, does not work', 'PAT: %',
	'bot.login("%")', 'use this key % for the API', 'api-key %', "Here's my API key (%)",
	'access token %', 'ключ API: %', 'мой ключ от API %', 'ключ доступа: %',
	'токен авторизации: %', 'API кілті: %', 'менің токенім %',
	'apilayer_key = %', 'mailjet-token %', '<secret>{app AQAB %}</secret>',
	'x-functions-key: %', 'Authorization: GenieKey %', 'authorization: OAuth %',
	'aws configure set aws_secret_access_key %', 'vault operator unseal key %',
	'{"kty":"oct","k":"%"}', 'Sec-WebSocket-Protocol: bearer, %');

# What is said of passwords and tokens, and what stands for one.
my @unspoken = (
	'jwt.decode(token, options={"verify_signature": False})', 'creds in 1Password',
	'token usage: prompt=1234 completion=567', 'PASSWORD_RESET_TIMEOUT = 3600',
	'пароль не подходит к user2024', 'connect("db-1.example.org")',
	'def f(): pass', '"status": "PASS", "passed": "x1y2z3w4"', "pat = '(?:a1b2)c'",
	'arn:aws:kms:us-west-2:1:key/1234abcd-12ab-34cd-56ef-12345abc90ab',
	'the password for the exam is given on the day', 'reset your password here',
	'пароль от почты забыл', 'пароль: минимум 8 символов', 'token limit: 4096',
	'the secret to success is hard work', 'password (required)', 'creds: see wiki',
	'credentials - ask Ivan', 'доступ к API через VPN', 'учетные данные: в сейфе',
	'access code review', 'login("Enter name", "Submit form")',
	'password: Mapped[str] = column(String(255))', 'return password == hash;',
	'this.password = password;', 'if password != confirm_password:',
	'(using password: YES)', "password:\n  type: string\n  format: password",
	'"password": "Пароль"', '"forgotPassword": "Forgot your password?"',
	'password_reset_url: https://example.org/reset', 'password = N/A',
	'password: op://vault/item/password', 'fn login(password: &str)',
	'password: str = None', 'token: Optional[str] = None',
	'password = getpass("Password: ")', '<label for="password">Password</label>',
	'public key ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx1', 'set password @password',
	'idempotency key 8f14e45f-ceea-467f-a0e6-1c2d3b4a5f60',
	'max_tokens=4096 request_id=4bf92f3577b34da6a3ce929d0e0e4736');

sub spoken_cases
{
	my @rows;

	for my $frame (@spoken)
	{
		push @rows, row('PASSWORD', $frame, pick(
				chars($lower, 3) . chars($upper, 2) . chars($lower, 3) . digits(2),
				chars($upper, 1) . chars($lower, 1) . chars("$upper", 2) .
				  chars("$word-_.", 8) . digits(1)), 1) for 1 .. 3;
	}
	for my $frame (@spoken_tokens)
	{
		push @rows, row('PASSWORD', $frame, pick(chars($hex, 30) . '7a',
				'Q7' . chars($word, 38) . '42'), 1) for 1 .. 3;
	}
	push @rows, row('PASSWORD', '%', $_, 0) for @unspoken;
	return @rows;
}

# Private keys as they are quoted, and a long passphrase.
sub private_cases
{
	my @rows;
	my $dash = '-' x 5;

	for my $type ('RSA PRIVATE KEY', 'OPENSSH PRIVATE KEY', 'PGP PRIVATE KEY BLOCK')
	{
		for my $nl ("\n", "\n> ", '\\n', "\\n\" +\n  \"", "\n# ")
		{
			my $body = join $nl, map { chars("$word+/", 64) } 1 .. 6;

			push @rows, row('PASSWORD',
				"${dash}BEGIN $type$dash$nl%$nl${dash}END $type$dash", $body, 1);
		}
	}
	push @rows, row('PASSWORD', "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n%\n"
		  . '---- END SSH2 ENCRYPTED PRIVATE KEY ----', chars("$word+/", 64), 1);
	push @rows, row('PASSWORD', "Private-Lines: 2\n%\nPrivate-MAC: ab",
		chars("$word+/", 64) . "\n" . chars("$word+/", 40), 1);
	push @rows, row('PASSWORD', 'passphrase = "%"',
		join(' ', map { chars($word, 9) } 1 .. 80), 1);
	return @rows;
}

sub OwnCases
{
	my ($seed) = @_;

	srand($seed);
	return (card_cases(), iban_cases(), iin_cases(), ssn_cases(), phone_cases(),
		email_cases(), ip_cases(), key_cases(), mac_cases(), crypto_cases(),
		birth_cases(), document_cases(), password_cases(), command_cases(),
		spoken_cases(), private_cases());
}

1;
