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

/* Names of files that look like a domain: icon@2x.png. */
static bool
IsFileSuffix(const MaskScan *scan, size_t start, size_t end)
{
	static const char suffixes[] = " png jpg jpeg gif svg webp css js ts ";
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
	start = LocalStart(scan, pos);
	if (start == pos)
		return false;
	end = DomainEnd(scan, pos + 1);
	if (end <= pos + 1)
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

/* The end of a dotted quad at pos, 0 if there is none. */
static size_t
QuadEnd(const MaskScan *scan, size_t pos)
{
	for (int part = 0; part < 4; part++)
	{
		int			value = 0;
		int			digits = 0;

		while (digits < 4 && IsDigit(ByteAt(scan, pos)))
		{
			value = value * 10 + (scan->text[pos++] - '0');
			digits++;
		}
		if (digits == 0 || value > 255 || digits > 3 ||
			(digits > 1 && scan->text[pos - (size_t) digits] == '0'))
			return 0;
		if (part < 3 && ByteAt(scan, pos++) != '.')
			return 0;
	}
	if (ByteAt(scan, pos) == '.' && IsDigit(ByteAt(scan, pos + 1)))
		return 0;
	return IsAlnum(ByteAt(scan, pos)) || ByteAt(scan, pos) == '_' ? 0 : pos;
}

/* A word like "version" or "v" stands directly before. */
static bool
SaysVersion(const MaskScan *scan, size_t pos)
{
	static const char *const words[] =
	{"version", "release", "section", "chapter", " build", " oid"};
	size_t		at = pos;

	while (at > 0 && pos - at < 3 &&
		   (scan->text[at - 1] == ' ' || scan->text[at - 1] == ':' ||
			scan->text[at - 1] == '='))
		at--;
	if (at > 0 && (scan->text[at - 1] | 0x20) == 'v')
		return at < 2 || !IsAlnum(scan->text[at - 2]);
	/* Firefox/115.0.1.2, but not http://192.0.2.1 nor hosts/192.0.2.1 */
	if (at == pos && at > 1 && scan->text[at - 1] == '/' &&
		IsAlpha(scan->text[at - 2]))
	{
		for (at--; at > 0 && pos - at < 32 && IsAlpha(scan->text[at - 1]);)
			at--;
		return IsUpper(scan->text[at]) && ByteBefore(scan, at) != '/' &&
			ByteBefore(scan, at) != '.' && ByteBefore(scan, at) != '-';
	}
	while (at > 0 && pos - at < 3 && (scan->text[at - 1] == '(' ||
									  scan->text[at - 1] == '"'))
		at--;					/* AssemblyVersion("1.0.0.0") */
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
	{
		size_t		len = strlen(words[i]);

		if (at >= len && FoldMatch(scan->text, at, at - len, words[i], len))
			return true;
	}
	return (at >= 12 && FoldMatch(scan->text, at, at - 12, LEX_VERSION, 10));
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
	if (end == 0 || SaysVersion(scan, pos) || IsRelease(scan, pos, end))
		return false;
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

	if (quad > 0 && r->groups > 0)
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
		if (QuadEnd(scan, r.end) > 0)
			r.groups = 0;
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

	if (ByteAt(scan, end) != '%' || !IsAlpha(ByteAt(scan, at)))
		return end;
	while (at - end < 17 && (IsAlnum(ByteAt(scan, at)) ||
							 ByteAt(scan, at) == '_'))
		at++;
	return at;
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
	if (pos - start > 4 || IsAlnum(before) || before == '_' ||
		(before == ':' && (pos - start < 2 || !IsLabel(scan, start - 1))) ||
		(start == pos && ByteAt(scan, pos + 1) != ':'))
		return false;
	r = ReadColonRun(scan, start);
	after = ByteAt(scan, r.end);
	if (IsAlnum(after) || after == '_' ||
		(after == ':' && IsHex(ByteAt(scan, r.end + 1))))
		return false;
	if (r.groups == 6 && r.pairs == 6 && !r.gap && !r.quad)
		return HitSpan(scan, MASK_MAC_ADDRESS, start, r.end, 0.9f);
	if (!IsIpv6(scan, &r, start))
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
	if (IsAlnum(ByteAt(scan, pos)) ||
		((char) ByteAt(scan, pos) == sep && IsAlnum(ByteAt(scan, pos + 1))))
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

/* ---------------- URL credentials ---------------- */

/* A value that stands for another: ${PASSWORD}, {{token}}, <secret>. */
static bool
IsPlaceholderStart(unsigned char c)
{
	return c == '$' || c == '{' || c == '<' || c == '%' || c == '[' ||
		c == '*';
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

		if (InSet(c, SET_URL_END))
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
