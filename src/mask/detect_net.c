/*
 * detect_net.c
 *	  Addresses: e-mail, IP, MAC, and credentials inside URLs.
 */
#include "mask/lexicon.h"
#include "mask/scan.h"

#include <string.h>

/* Reports a span. */
static bool
HitSpan(MaskScan *scan, MaskEntity entity, size_t start, size_t end,
		float score)
{
	MaskHit		hit = {0};

	hit.entity = entity;
	hit.start = start;
	hit.end = end;
	hit.score = score;
	hit.validator = "form";
	MaskAddHit(scan, &hit);
	return true;
}

/* ---------------- e-mail ---------------- */

/*
 * The length of a letter of two bytes that ends before pos, or begins at
 * pos; 0 if there is none.  Longer characters separate: scripts that need
 * them are written without spaces around an address.
 */
static size_t
WideBefore(const MaskScan *scan, size_t pos)
{
	if (pos < 2 || (scan->text[pos - 1] & 0xC0) !=0x80)
		return 0;
	return scan->text[pos - 2] >= 0xC3 && scan->text[pos - 2] <= 0xDF ? 2 : 0;
}

static size_t
WideAt(const MaskScan *scan, size_t pos)
{
	unsigned char c = ByteAt(scan, pos);

	return c >= 0xC3 && c <= 0xDF && pos + 1 < scan->len ? 2 : 0;
}

static bool
IsLocalPart(unsigned char c)
{
	return InSet(c, SET_LOCAL);
}

/* Where the local part before '@' begins; pos if there is none. */
static size_t
LocalStart(const MaskScan *scan, size_t pos)
{
	size_t		start = pos;

	while (start > 0 && pos - start < 64)
	{
		if (IsLocalPart(scan->text[start - 1]))
			start--;
		else if (WideBefore(scan, start))
			start -= 2;
		else
			break;
	}
	while (start < pos && scan->text[start] < 0x80 &&
		   !IsAlnum(scan->text[start]) && scan->text[start] != '_')
		start++;
	return start;
}

/*
 * Where a local part in quotes begins that ends before pos, "john smith"@...;
 * pos if there is none.
 */
static size_t
QuotedStart(const MaskScan *scan, size_t pos)
{
	size_t		start = pos - 1;

	while (start > 0 && pos - start < 64 && scan->text[start - 1] >= ' ' &&
		   scan->text[start - 1] != '"' && scan->text[start - 1] != '@')
		start--;
	/* what begins a value of JSON or an attribute ends there, too */
	if (pos - start < 2 || !IsWordByte(scan->text[pos - 2]) ||
		ByteBefore(scan, start) != '"' || start <= scan->done ||
		IsAlnum(ByteBefore(scan, start - 1)))
		return pos;
	return start - 1;
}

/* Names of files that look like a domain: icon@2x.png. */
static bool
IsFileSuffix(const MaskScan *scan, size_t start, size_t end)
{
	static const char suffixes[] =
	" png jpg jpeg gif svg webp css js ts tgz whl jar ";
	char		word[8] = " ";

	if (end - start > 5)
		return false;
	for (size_t i = start; i < end; i++)
		word[1 + i - start] = (char) (scan->text[i] | 0x20);
	word[1 + end - start] = ' ';
	word[2 + end - start] = '\0';
	return strstr(suffixes, word) != NULL;
}

/* True for a label that stands for one in another script: xn--p1ai. */
static bool
IsPunycode(const MaskScan *scan, size_t label)
{
	return label + 4 < scan->len && (scan->text[label] | 0x20) == 'x' &&
		(scan->text[label + 1] | 0x20) == 'n' &&
		scan->text[label + 2] == '-' && scan->text[label + 3] == '-';
}

/* The end of a host in brackets, [192.0.2.1] or [IPv6:...]; pos if none. */
static size_t
LiteralEnd(const MaskScan *scan, size_t pos)
{
	size_t		at = pos + 1;
	bool		digit = false;

	while (at - pos < 48 && (IsAlnum(ByteAt(scan, at)) ||
							 ByteAt(scan, at) == '.' ||
							 ByteAt(scan, at) == ':'))
		digit |= IsDigit(scan->text[at++]);
	return digit && at - pos > 6 && ByteAt(scan, at) == ']' ? at + 1 : pos;
}

/* The end of the domain that begins at pos; pos if it is none. */
static size_t
DomainEnd(const MaskScan *scan, size_t pos)
{
	size_t		at = pos;
	size_t		label = pos;	/* beginning of the present label */
	size_t		good = pos;		/* end of the last possible top level */
	size_t		top = pos;		/* and its beginning */
	bool		letters = true;

	if (ByteAt(scan, pos) == '[')
		return LiteralEnd(scan, pos);

	while (at < scan->len && at - pos < 255)
	{
		unsigned char c = scan->text[at];

		if (IsAlnum(c) || c == '-' || c == '_')
			letters &= IsAlpha(c) || (c == '-' && at - label >= 2) ||
				(at - label >= 4 && IsPunycode(scan, label));
		else if (WideAt(scan, at))
			at++;
		else if (c == '.' && at > label)
		{
			label = at + 1;
			letters = true;
		}
		else
			break;
		at++;
		if (label > pos && at - label >= 2 && letters)
		{
			good = at;
			top = label;
		}
		else if (label > pos && at > label)
			good = pos;
	}
	while (good > pos && scan->text[good - 1] == '-')
		good--;
	return good > pos && IsFileSuffix(scan, top, good) ? pos : good;
}

/*
 * True for the address of a repository, which is nobody's mailbox:
 * git@github.com:org/name.git, ssh://git@github.com/org/name.
 */
static bool
IsRepository(const MaskScan *scan, size_t start, size_t pos, size_t end)
{
	unsigned char after = ByteAt(scan, end);

	if (pos - start != 3 || memcmp(scan->text +start, "git", 3) != 0)
		return false;
	return ByteBefore(scan, start) == '/' ||
		((after == ':' || after == '/') && IsAlnum(ByteAt(scan, end + 1)));
}

/* EMAIL_ADDRESS: one '@' between a local part and a domain. */
bool
DetectEmail(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start;
	size_t		end;

	if (scan->hit_count > 0)
	{
		const MaskHit *last = &scan->hits[scan->hit_count - 1];

		if (last->end == pos && last->entity == MASK_URL_CREDENTIALS)
			return true;
	}
	if (ByteBefore(scan, pos) == '*')
		return true;			/* already masked */
	start = ByteBefore(scan, pos) == '"' ? QuotedStart(scan, pos) :
		LocalStart(scan, pos);
	if (start == pos)
		return false;
	end = DomainEnd(scan, pos + 1);
	if (end <= pos + 1 || IsRepository(scan, start, pos, end))
		return false;
	return HitSpan(scan, self->entity, start, end, 0.95f);
}

/* ---------------- IP, MAC ---------------- */

/* The end of "/24" after an address, or the address's own end. */
static size_t
PrefixEnd(const MaskScan *scan, size_t end)
{
	size_t		at = end + 1;

	if (ByteAt(scan, end) != '/' || !IsDigit(ByteAt(scan, at)))
		return end;
	while (at - end < 5 && IsDigit(ByteAt(scan, at)))
		at++;
	return at - end > 4 || IsAlnum(ByteAt(scan, at)) ? end : at;
}

/*
 * The end of a dotted quad at pos, 0 if there is none: 192.0.2.1, or all
 * parts with three digits (192.000.002.001).
 */
static size_t
QuadEnd(const MaskScan *scan, size_t pos)
{
	size_t		start = pos;
	bool		zeros = false;

	for (int part = 0; part < 4; part++)
	{
		int			value = 0;
		int			digits = 0;

		while (digits < 4 && IsDigit(ByteAt(scan, pos)))
		{
			value = value * 10 + (scan->text[pos++] - '0');
			digits++;
		}
		if (digits == 0 || value > 255 || digits > 3)
			return 0;
		zeros |= digits > 1 && scan->text[pos - (size_t) digits] == '0';
		if (part < 3 && ByteAt(scan, pos++) != '.')
			return 0;
	}
	if ((ByteAt(scan, pos) == '.' && IsDigit(ByteAt(scan, pos + 1))) ||
		(zeros && pos - start != 15))
		return 0;
	return IsAlnum(ByteAt(scan, pos)) ||
		(ByteAt(scan, pos) == '_' && IsWordByte(ByteAt(scan, pos + 1))) ? 0 :
		pos;
}

/* An address of a private network is no version: 10., 172.16., 192.168. */
static bool
IsPrivate(const MaskScan *scan, size_t pos)
{
	const char *text = (const char *) scan->text +pos;

	/* no address is shorter than seven bytes */
	if (text[0] != '1')
		return false;
	return memcmp(text +1, "0.", 2) == 0 || memcmp(text +1, "27.", 3) == 0 ||
		memcmp(text +1, "72.", 3) == 0 ||
		(memcmp(text +1, "92.16", 5) == 0 && ByteAt(scan, pos + 6) == '8' &&
		 ByteAt(scan, pos + 7) == '.');
}

/* A word of another script before pos that a version's or paragraph's number
 * follows. */
static bool
WideWordSaysVersion(const MaskScan *scan, size_t pos)
{
	static const char *const stems[] =
	{LEX_VERSION, LEX_PARAGRAPH, LEX_CHAPTER, LEX_CLAUSE};
	size_t		at = pos;

	/* the word itself, or the one before it: the version of the kernel */
	for (int words = 0; words < 2 && at > 0; words++)
	{
		size_t		end = words == 0 ? pos : at - 1;

		at = end;
		while (at > 0 && end - at < 24 && scan->text[at - 1] >= 0x80)
			at--;
		for (size_t i = 0; i < sizeof(stems) / sizeof(stems[0]); i++)
			if (FoldMatch(scan->text, end, at, stems[i], strlen(stems[i])) > 0)
				return true;
		if (words == 0 && FoldMatch(scan->text, pos, at, LEX_CLAUSE_SHORT,
									pos - at) == pos - at)
			return true;
		if (ByteBefore(scan, at) != ' ')
			break;
	}
	return false;
}

/*
 * A word before pos that a version's or paragraph's number follows; of the
 * last ones only where the number is no address of a private network.
 */
static bool
WordSaysVersion(const MaskScan *scan, size_t pos, bool private)
{
	static const char *const ends[] =
	{"version", "versions", "release", "revision", "section", "sections", "chapter", "clause",
	"appendix", "firmware", "table"};
	static const char *const whole[] =
	{"v", "ver", "rev", "build", "oid",
		"sdk", "jdk", "jre", "java", "kernel", "python", "upgrade to",
		"upgraded to", "upgrade from", "upgraded from", "downgrade to",
	"update to", "updated to"};
	int			count = private ? 5 : sizeof(whole) / sizeof(whole[0]);

	if (scan->text[pos - 1] >= 0x80)
		return WideWordSaysVersion(scan, pos);
	if (strchr("nexvrdkaloms", scan->text[pos - 1] | 0x20) == NULL)
		return false;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
	{
		size_t		len = strlen(ends[i]);

		if (pos >= len &&
			FoldMatch(scan->text, pos, pos - len, ends[i], len) > 0)
			return true;
	}
	for (int i = 0; i < count; i++)
	{
		size_t		len = strlen(whole[i]);

		if (pos >= len &&
			FoldMatch(scan->text, pos, pos - len, whole[i], len) > 0 &&
			!IsWordByte(ByteBefore(scan, pos - len)))
			return true;
	}
	return false;
}

/* The start of the letters, digits and what joins them that end at pos. */
static size_t
NameStart(const MaskScan *scan, size_t pos)
{
	size_t		at = pos;

	while (at > 0 && pos - at < 40 &&
		   (IsAlnum(scan->text[at - 1]) || scan->text[at - 1] == '_' ||
			scan->text[at - 1] == '-' || scan->text[at - 1] == '.'))
		at--;
	return at;
}

/* True if a name speaks of a machine rather than of a package. */
static bool
NamesHost(const MaskScan *scan, size_t start, size_t end)
{
	static const char *const words[] =
	{"ip", "addr", "host", "src", "dst", "server", "client", "peer", "remote",
	"node", "dns", "gateway", "source", "dest"};

	for (size_t at = start; at < end; at++)
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (FoldMatch(scan->text, end, at, words[i], strlen(words[i])) > 0)
				return true;
	return false;
}

/*
 * A name stands directly before, joined as packages are with their versions:
 * name==1.2.3.4, name>=1.2.3.4, name-1.2.3.4, name_1.2.3.4.
 */
static bool
IsPackage(const MaskScan *scan, size_t pos)
{
	size_t		at = pos;
	size_t		start;
	bool		private = false;

	if (ByteBefore(scan, at) == '=' && at >= 2 &&
		strchr("=~<>!", scan->text[at - 2]) != NULL)
	{
		at -= 2;
		private = scan->text[at] == '=' || scan->text[at] == '!';
	}
	else if (ByteBefore(scan, at) == '-')
	{
		at--;
		private = true;
	}
	if (at == pos || (private && IsPrivate(scan, pos)))
		return false;
	start = NameStart(scan, at);
	while (start < at && !IsAlpha(scan->text[start]))
		start++;
	return start < at && IsAlnum(scan->text[at - 1]) &&
		!NamesHost(scan, start, at);
}

/* An archive's or library's name goes on behind it: name 1.2.3.4.tar.gz. */
static bool
IsFileOf(const MaskScan *scan, size_t end)
{
	static const char suffixes[] =
	" tar tgz zip whl jar gz deb rpm exe msi dll so nupkg apk dmg pkg iso ";
	char		word[8] = " ";
	size_t		n = 0;

	if (ByteAt(scan, end) != '.')
		return false;
	while (n < 5 && IsAlpha(ByteAt(scan, end + 1 + n)))
	{
		word[1 + n] = (char) (scan->text[end + 1 + n] | 0x20);
		n++;
	}
	word[1 + n] = ' ';
	return n > 0 && strstr(suffixes, word) != NULL;
}

/* A heading's or paragraph's number: "## 1.2.3.4 Title", four small parts. */
static bool
IsHeading(const MaskScan *scan, size_t pos, size_t end)
{
	if (pos < 3 || scan->text[pos - 1] != ' ' || scan->text[pos - 2] != '#' ||
		scan->text[pos - 3] != '#')
		return false;
	for (size_t at = pos; at + 2 < end; at++)
		if (CountDigits(scan, at, 3) > 2)
			return false;
	return true;
}

/*
 * The end of the word before an older version and an arrow or "to" that end
 * at pos (firmware 1.0.5.2 -> 1.0.6.1), or pos.
 */
static size_t
PassOldVersion(const MaskScan *scan, size_t pos)
{
	size_t		at = pos;

	if (at > 4 && FoldMatch(scan->text, at, at - 3, " to", 3) > 0)
		at -= 3;
	while (at > 0 && pos - at < 24 &&
		   (scan->text[at - 1] == ' ' || scan->text[at - 1] == '.' ||
			IsDigit(scan->text[at - 1])))
		at--;
	return at < pos && ByteAt(scan, at) == ' ' && IsAlpha(ByteBefore(scan, at)) &&
		IsDigit(ByteAt(scan, at + 1)) ? at : pos;
}

/* True for what stands between a word of versions and a version. */
static inline bool
JoinsVersion(unsigned char c)
{
	return c == ' ' || c == ':' || c == '=' || c == '(' || c == '"' ||
		c == '\'' || c == '>' || c == '.' || c == '-';
}

/* A version's or paragraph's number, by what stands directly before it. */
static bool
SaysVersion(const MaskScan *scan, size_t pos)
{
	size_t		at = pos;

	/* Firefox/115.0.1.2, but not http://192.0.2.1 nor hosts/192.0.2.1 */
	if (at > 1 && scan->text[at - 1] == '/' && IsAlpha(scan->text[at - 2]))
	{
		for (at--; at > 0 && pos - at < 32 && IsAlpha(scan->text[at - 1]);)
			at--;
		return IsUpper(scan->text[at]) && ByteBefore(scan, at) != '/' &&
			ByteBefore(scan, at) != '.' && ByteBefore(scan, at) != '-';
	}
	/* "version": "1.0.0.0", AssemblyVersion("1.0.0.0"), section-1.2.3.4 */
	while (at > 0 && pos - at < 6 && JoinsVersion(scan->text[at - 1]))
		at--;
	if (at > 0 && at < pos && (IsDigit(scan->text[at - 1]) ||
							   scan->text[at - 1] == 'o'))
		at = PassOldVersion(scan, at);
	return at > 0 && IsWordByte(scan->text[at - 1]) &&
		!IsDigit(scan->text[at - 1]) &&
		WordSaysVersion(scan, at, IsPrivate(scan, pos));
}

/* A version with the name of its release: 1.2.3.4-beta, 7.0.12.1-r0. */
static bool
IsRelease(const MaskScan *scan, size_t pos, size_t end)
{
	return ByteAt(scan, end) == '-' && IsAlpha(ByteAt(scan, end + 1)) &&
		(ByteAt(scan, pos + 1) == '.' || (ByteAt(scan, pos + 2) == '.' &&
										  scan->text[pos] <= '2'));
}

/* IP_ADDRESS, version 4, with its network prefix. */
bool
DetectIpv4(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	unsigned char before = ByteBefore(scan, pos);
	size_t		end;

	if (scan->run.groups < 4 || before == '.' || IsAlnum(before) ||
		!RunSeparated(&scan->run, 4, '.'))
		return false;
	end = QuadEnd(scan, pos);
	if (end == 0 || SaysVersion(scan, pos) || IsPackage(scan, pos) ||
		IsRelease(scan, pos, end) || IsFileOf(scan, end) ||
		IsHeading(scan, pos, end))
		return false;
	/* 10.0.0.1-10.0.0.20: the other end of the range is no event */
	if (ByteAt(scan, end) == '-' && QuadEnd(scan, end + 1) > 0)
		end = QuadEnd(scan, end + 1);
	return HitSpan(scan, self->entity, pos, PrefixEnd(scan, end), 0.9f);
}

/* What was read of groups of hexadecimal digits joined by colons. */
typedef struct ColonRun
{
	size_t		end;
	int			groups;
	int			pairs;			/* groups of exactly two digits */
	bool		gap;			/* "::" was there */
	bool		digit;			/* a decimal digit was there */
	bool		quad;			/* ends with a dotted quad */
	bool		broken;			/* two gaps, or a group too long */
} ColonRun;

/* Reads one group at r->end; false if the run ends there. */
static bool
ReadColonGroup(const MaskScan *scan, ColonRun *r)
{
	size_t		at = r->end;
	size_t		quad = QuadEnd(scan, at);

	if (quad > 0 && (r->groups > 0 || r->gap))
	{
		r->quad = r->digit = true;
		r->groups += 2;
		r->end = quad;
		return false;
	}
	while (IsHex(ByteAt(scan, at)) && at - r->end < 5)
		r->digit |= IsDigit(scan->text[at++]);
	if (at == r->end)
		return false;
	r->broken |= at - r->end > 4;
	r->pairs += at - r->end == 2;
	r->groups++;
	r->end = at;
	return !r->broken;
}

/* Reads an IPv6 or MAC address that begins at pos. */
static ColonRun
ReadColonRun(const MaskScan *scan, size_t pos)
{
	ColonRun	r = {0};

	r.end = pos;
	if (ByteAt(scan, pos) == ':' && ByteAt(scan, pos + 1) == ':')
	{
		r.gap = true;
		r.end += 2;
	}
	while (r.groups < 9 && ReadColonGroup(scan, &r))
	{
		if (ByteAt(scan, r.end) != ':')
			break;
		if (ByteAt(scan, r.end + 1) == ':')
		{
			r.broken |= r.gap;
			r.gap = true;
			r.end += 2;
			if (!IsHex(ByteAt(scan, r.end)))
				break;
		}
		else if (IsHex(ByteAt(scan, r.end + 1)))
			r.end++;
		else
			break;
	}
	return r;
}

/* Whether a run of groups is an IPv6 address rather than code or a time. */
static bool
IsIpv6(const MaskScan *scan, const ColonRun *r, size_t start)
{
	if (r->broken || r->groups > 8)
		return false;
	if (!r->gap)
		return r->groups == 8;
	if (r->groups == 0)
		return ByteAt(scan, r->end) == '/' && IsDigit(ByteAt(scan, r->end + 1));
	/* "{0::}" is a placeholder */
	if (r->groups == 1 && ByteBefore(scan, start) == '{' &&
		scan->text[r->end - 1] == ':')
		return false;
	return r->groups < 8 &&
		(r->digit || r->groups >= 3 || r->end - start >= 10);
}

/* True if a word before the colon is none of hexadecimal digits: "addr:". */
static bool
IsLabel(const MaskScan *scan, size_t colon)
{
	size_t		at = colon;

	while (at > 0 && colon - at < 5 && IsWordByte(scan->text[at - 1]))
		if (!IsHex(scan->text[--at]))
			return true;
	return false;
}

/* The end of an address's zone, "%eth0", or the address's own end. */
static size_t
ZoneEnd(const MaskScan *scan, size_t end)
{
	size_t		at = end + 1;

	if (ByteAt(scan, end) != '%' || !IsAlnum(ByteAt(scan, at)))
		return end;
	while (at - end < 17 && (IsAlnum(ByteAt(scan, at)) ||
							 (strchr("_-.", ByteAt(scan, at)) != NULL &&
							  IsAlnum(ByteAt(scan, at + 1)))))
		at++;
	return at;
}

/*
 * True for a slice of an array: x[::2], x[1::2, ::-1], int[::1].  An address
 * in brackets stands behind no name.
 */
static bool
IsSlice(const MaskScan *scan, size_t start, size_t end)
{
	unsigned char after = ByteAt(scan, end);
	size_t		at = start;

	if (end - start > 12 || (after != ']' && after != ',' && after != ':'))
		return false;
	for (size_t i = start; i < end; i++)
		if (!IsDigit(scan->text[i]) && scan->text[i] != ':')
			return false;
	while (at > 0 && start - at < 32 &&
		   strchr("0123456789:, -.None", ByteBefore(scan, at)) != NULL)
		at--;
	return at > 1 && scan->text[at - 1] == '[' &&
		(IsWordByte(scan->text[at - 2]) ||
		 strchr("_)]", scan->text[at - 2]) != NULL);
}

/* True if an address goes on as an address of version 4 that is none. */
static bool
IsBrokenQuad(const MaskScan *scan, size_t end)
{
	size_t		digits;

	if (ByteAt(scan, end) != '.')
		return false;
	digits = CountDigits(scan, end + 1, 4);
	return digits > 0 && ByteAt(scan, end + 1 + digits) == '.' &&
		IsDigit(ByteAt(scan, end + 2 + digits));
}

/* IP_ADDRESS version 6 and MAC_ADDRESS with colons, at their first colon. */
bool
DetectColonAddress(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = pos;
	unsigned char before;
	unsigned char after;
	ColonRun	r;

	if (scan->text[pos] != ':' || !(IsHex(ByteAt(scan, pos + 1)) ||
									ByteAt(scan, pos + 1) == ':'))
		return false;
	while (start > 0 && pos - start < 5 && IsHex(scan->text[start - 1]))
		start--;
	before = ByteBefore(scan, start);
	if (pos - start > 4 || IsAlnum(before) ||
		(before == '_' && (pos - start < 2 ||
						   IsWordByte(ByteBefore(scan, start - 1)))) ||
		(before == ':' && (pos - start < 2 || !IsLabel(scan, start - 1))) ||
		(start == pos && ByteAt(scan, pos + 1) != ':'))
		return false;
	r = ReadColonRun(scan, start);
	after = ByteAt(scan, r.end);
	if (IsAlnum(after) ||
		(after == '_' && (before != '_' ||
						  IsWordByte(ByteAt(scan, r.end + 1)))) ||
		(after == ':' && IsHex(ByteAt(scan, r.end + 1))))
		return false;
	if (r.groups == 6 && r.pairs == 6 && !r.gap && !r.quad)
		return HitSpan(scan, MASK_MAC_ADDRESS, start, r.end, 0.9f);
	if (!IsIpv6(scan, &r, start) || IsSlice(scan, start, r.end) ||
		(!r.quad && IsBrokenQuad(scan, r.end)))
		return false;
	return HitSpan(scan, self->entity, start,
				   PrefixEnd(scan, ZoneEnd(scan, r.end)), 0.9f);
}

/* Groups of hexadecimal digits of one length with one separator. */
static size_t
HexGroupsEnd(const MaskScan *scan, size_t pos, int groups, int size)
{
	char		sep = (char) ByteAt(scan, pos + (size_t) size);

	for (int g = 0; g < groups; g++)
	{
		for (int i = 0; i < size; i++)
			if (!IsHex(ByteAt(scan, pos++)))
				return 0;
		if (g + 1 < groups && (char) ByteAt(scan, pos++) != sep)
			return 0;
	}
	if (IsAlnum(ByteAt(scan, pos)))
		return 0;
	/* the next sentence may begin without a space */
	if ((char) ByteAt(scan, pos) == sep && IsAlnum(ByteAt(scan, pos + 1)) &&
		(sep != '.' || IsHex(ByteAt(scan, pos + 2))))
		return 0;
	return pos;
}

/*
 * The start of the groups of letters before the first with a digit, in
 * EE-FA-1B-...: groups of len joined by sep.
 */
static size_t
LetterGroups(const MaskScan *scan, size_t start, size_t len,
			 unsigned char sep)
{
	for (int g = 0; g < 4 && start > len && scan->text[start - 1] == sep; g++)
	{
		size_t		at = start - 1 - len;

		for (size_t i = at; i < start - 1; i++)
			if (!IsAlpha(scan->text[i]) || !IsHex(scan->text[i]))
				return start;
		if (IsAlnum(ByteBefore(scan, at)))
			return start;
		start = at;
	}
	return start;
}

/* MAC_ADDRESS: 00-1A-2B-3C-4D-5E, 001A.2B3C.4D5E. */
bool
DetectMacToken(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = scan->run.token_start;
	size_t		len = scan->run.token_end - start;
	unsigned char sep = ByteAt(scan, scan->run.token_end);
	size_t		end = 0;

	(void) pos;
	if (sep != '-' && sep != '.')
		return false;
	if (ByteBefore(scan, start) == sep)
		start = LetterGroups(scan, start, len, sep);
	if (ByteBefore(scan, start) == '-' || ByteBefore(scan, start) == '.')
		return false;
	if (len == 2 && sep == '-')
		end = HexGroupsEnd(scan, start, 6, 2);
	else if (len == 4 && sep == '.')
		end = HexGroupsEnd(scan, start, 3, 4);
	if (end == 0)
		return false;
	for (size_t i = start; len == 4 && i < end; i++)
		if (IsAlpha(scan->text[i]))
			return HitSpan(scan, self->entity, start, end, 0.8f);
	return len == 2 && HitSpan(scan, self->entity, start, end, 0.8f);
}

/* The end of a MAC address in any form, 0 if there is none. */
static size_t
SpokenMacEnd(const MaskScan *scan, size_t pos)
{
	unsigned char sep = ByteAt(scan, pos + 2);
	size_t		end = 0;

	if (sep == '-' || sep == ':' || sep == ' ')
		end = HexGroupsEnd(scan, pos, 6, 2);
	else if (ByteAt(scan, pos + 4) == '.')
		end = HexGroupsEnd(scan, pos, 3, 4);
	else
	{
		bool		letter = false;

		while (end < 13 && IsHex(ByteAt(scan, pos + end)))
			letter |= IsAlpha(scan->text[pos + end++]);
		/* twelve digits alone are more often something else */
		end = end == 12 && letter && !IsWordByte(ByteAt(scan, pos + 12)) &&
			ByteAt(scan, pos + 12) != '-' && ByteBefore(scan, pos) != '-' ?
			pos + 12 : 0;
	}
	return end;
}

/*
 * MAC_ADDRESS behind a word that says so: also one of letters alone
 * (AA-BB-CC-DD-EE-FF), or without separators (001A2B3C4D5E).
 */
bool
DetectSpokenMac(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = pos;
	size_t		end;

	/* only signs and "address", "is" and the like are between, no value */
	while (start - pos < 24 && start < scan->len && scan->text[start] != '\n')
	{
		unsigned char c = scan->text[start];

		end = IsHex(c) && !IsWordByte(ByteBefore(scan, start)) ?
			SpokenMacEnd(scan, start) : 0;
		if (end > 0)
			return HitSpan(scan, self->entity, start, end, 0.7f);
		if (IsDigit(c) || c == '@' || c == ',' || c == '_')
			return false;
		start++;
	}
	return false;
}

/* ---------------- URL credentials ---------------- */

/* A value that stands for another: ${PASSWORD}, {{token}}, <secret>. */
static bool
IsPlaceholderStart(unsigned char c)
{
	return c == '$' || c == '{' || c == '<' || c == '%' || c == '[' ||
		c == '*';
}

/* What ends a host, but may be in a password that nobody has encoded. */
static inline bool
IsSoftEnd(unsigned char c)
{
	return c == '#' || c == '?';
}

/* True if only digits are between. */
static bool
IsPort(const MaskScan *scan, size_t start, size_t end)
{
	while (start < end && IsDigit(scan->text[start]))
		start++;
	return start == end;
}

/* URL_CREDENTIALS: user:password or a token before the host of a URL. */
bool
DetectUrlCredentials(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = pos + 3;
	size_t		at = 0;
	size_t		colon = 0;

	if (scan->text[pos] != ':' || ByteAt(scan, pos + 1) != '/' ||
		ByteAt(scan, pos + 2) != '/')
		return false;
	for (size_t i = start; i < scan->len && i - start < 300; i++)
	{
		unsigned char c = scan->text[i];

		if (InSet(c, SET_URL_END) &&
			!(IsSoftEnd(c) && colon > 0 && (at == 0 || i == at + 1) &&
			  !IsPort(scan, colon + 1, i)))
			break;
		if (c == ':' && colon == 0)
			colon = i;
		if (c == '@')
			at = i;
	}
	if (at == 0 || at == start || !(IsAlnum(ByteAt(scan, at + 1)) ||
									ByteAt(scan, at + 1) >= 0x80 ||
									ByteAt(scan, at + 1) == '['))
		return false;
	if (colon == 0 || colon > at)
	{
		if (at - start < 16)
			return false;		/* a user alone */
	}
	else if (colon + 1 >= at || IsPlaceholderStart(scan->text[colon + 1]))
		return false;
	return HitSpan(scan, self->entity, start, at, 0.95f);
}

/* URL_CREDENTIALS before a host without scheme: user:password@tcp(host). */
bool
DetectDsn(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		low = pos > 128 ? pos - 128 : 0;
	size_t		start = pos;
	size_t		colon = 0;

	if (pos + 5 > scan->len || (memcmp(scan->text +pos, "@tcp(", 5) != 0 &&
								memcmp(scan->text +pos, "@unix", 5) != 0))
		return false;
	while (start > low && !IsSpace(scan->text[start - 1]) &&
		   strchr("\"'`=<>", scan->text[start - 1]) == NULL)
		if (scan->text[--start] == ':')
			colon = start;
	if (colon <= start || colon + 1 >= pos ||
		IsPlaceholderStart(scan->text[colon + 1]))
		return false;
	return HitSpan(scan, self->entity, start, pos, 0.9f);
}

/* The same of Oracle: jdbc:oracle:thin:user/password@host. */
bool
DetectThin(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		at = pos;
	size_t		slash = 0;

	for (; at - pos < 100 && at < scan->len && scan->text[at] != '@' &&
		 !IsSpace(scan->text[at]) && scan->text[at] != '"'; at++)
		if (scan->text[at] == '/' && slash == 0)
			slash = at;
	if (slash <= pos || slash + 1 >= at || ByteAt(scan, at) != '@' ||
		IsPlaceholderStart(scan->text[slash + 1]))
		return false;
	return HitSpan(scan, self->entity, pos, at, 0.9f);
}
