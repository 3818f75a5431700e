/*
 * render.c
 *	  The forms in which findings are written, and masking of plain text.
 *
 * A form shows only what a reader needs to tell values apart: cards the
 * first four and last four digits (the standard allows six), identifiers
 * and telephones the last two, keys their prefix and last four, an e-mail
 * its first letter and domain, names and passwords nothing.  Forms are not
 * found again when a masked text is masked once more.
 */
#include "mask/scan.h"

#include <string.h>

/* Appends a string to out at n; the new length. */
static size_t
Put(char *out, size_t n, const char *text, size_t len)
{
	memcpy(out + n, text, len);
	return n + len;
}

/* Collects letters and digits of a finding, as the detectors read them. */
static size_t
PlainText(const char *text, const MaskHit *hit, char *out, size_t room)
{
	char		form[MASK_FORM_MAX + 16];
	size_t		len = hit->end - hit->start;
	size_t		n = 0;

	if (len > MASK_FORM_MAX)
		len = MASK_FORM_MAX;
	if (hit->custom != NULL)
		memcpy(form, text +hit->start, len);
	else
		len = MaskNormalize(hit->entity, text +hit->start, len, form);
	for (size_t i = 0; i < len && n < room; i++)
		if (IsAlnum((unsigned char) form[i]))
			out[n++] = form[i];
	return n;
}

/* "<ENTITY>" or "<ENTITY:**12>" with the last characters. */
static size_t
FormTagged(const char *text, const MaskHit *hit, size_t last, char *out)
{
	const char *name = hit->custom != NULL ? hit->custom->name :
	MaskEntityName(hit->entity);
	char		plain[MASK_FORM_MAX];
	size_t		len = last ? PlainText(text, hit, plain, sizeof(plain)) : 0;
	size_t		n = Put(out, 0, "<", 1);

	n = Put(out, n, name, strlen(name));
	if (last > 0 && len >= last + 4)
	{
		n = Put(out, n, ":**", 3);
		n = Put(out, n, plain + len - last, last);
	}
	return Put(out, n, ">", 1);
}

/* "4403****1298": the first and last four of twelve or more. */
static size_t
FormEnds(const char *text, const MaskHit *hit, char *out)
{
	char		plain[MASK_FORM_MAX];
	size_t		len = PlainText(text, hit, plain, sizeof(plain));
	size_t		n;

	if (len < 12)
		return FormTagged(text, hit, 0, out);
	n = Put(out, 0, plain, 4);
	n = Put(out, n, "****", 4);
	return Put(out, n, plain + len - 4, 4);
}

/* "sk-ant-****AbCd": the prefix and the last four, if much remains. */
static size_t
FormKey(const char *text, const MaskHit *hit, char *out)
{
	size_t		len = hit->end - hit->start;
	size_t		n = 0;

	if (len < (size_t) hit->keep + 16)
		return FormTagged(text, hit, 0, out);
	for (size_t i = 0; i < hit->keep; i++)
	{
		unsigned char c = (unsigned char) text[hit->start + i];

		if (c >= 0x80)
			return FormTagged(text, hit, 0, out);
		out[n++] = (char) c;
	}
	n = Put(out, n, "****", 4);
	for (size_t i = hit->end - 4; i < hit->end; i++)
		out[n++] = IsAlnum((unsigned char) text[i]) ? text[i] : '*';

	return n;
}

/* "<EMAIL_ADDRESS:j***@bank.kz>". */
static size_t
FormEmail(const char *text, const MaskHit *hit, char *out)
{
	const char *value = text +hit->start;
	size_t		len = hit->end - hit->start;
	const char *at = memchr(value, '@', len);
	size_t		n;

	n = Put(out, 0, "<EMAIL_ADDRESS", 14);
	if (at != NULL && at > value && (size_t) (value + len - at) < 260)
	{
		out[n++] = ':';
		if (IsAlnum((unsigned char) value[0]) && at - value > 1)
			out[n++] = value[0];
		n = Put(out, n, "***@", 4);
		for (at++; at < value + len; at++)
		{
			unsigned char c = (unsigned char) *at;

			if (IsAlnum(c) || c >= 0x80 || c == '.' || c == '-')
				out[n++] = (char) c;
		}
	}
	return Put(out, n, ">", 1);
}

/* The form of a kind that the caller has named. */
static size_t
FormCustom(const char *text, const MaskHit *hit, char *out)
{
	switch (hit->custom->style)
	{
		case MASK_STYLE_LAST2:
			return FormTagged(text, hit, 2, out);
		case MASK_STYLE_LAST4:
			return FormTagged(text, hit, 4, out);
		case MASK_STYLE_ENDS:
			return FormEnds(text, hit, out);
		default:
			return FormTagged(text, hit, 0, out);
	}
}

size_t
MaskForm(const char *text, const MaskHit *hit, char *out)
{
	if (hit->custom != NULL)
		return FormCustom(text, hit, out);
	switch (hit->entity)
	{
		case MASK_CREDIT_CARD:
		case MASK_IBAN_CODE:
			return FormEnds(text, hit, out);
		case MASK_CRYPTO:
			return FormEnds(text, hit, out);
		case MASK_EMAIL_ADDRESS:
			return FormEmail(text, hit, out);
		case MASK_API_KEY:
		case MASK_ACCESS_TOKEN:
			return FormKey(text, hit, out);
		case MASK_KZ_IIN:
		case MASK_KZ_BIN:
		case MASK_RU_INN:
		case MASK_RU_SNILS:
		case MASK_US_SSN:
		case MASK_US_ITIN:
		case MASK_US_PASSPORT:
		case MASK_RU_PASSPORT:
		case MASK_KZ_DOCUMENT:
		case MASK_US_DRIVER_LICENSE:
		case MASK_US_BANK_NUMBER:
		case MASK_NATIONAL_ID:
		case MASK_PHONE_NUMBER:
			return FormTagged(text, hit, 2, out);
		default:
			return FormTagged(text, hit, 0, out);
	}
}

void
NoteFound(const MaskOptions *options, MaskResult *result, MaskEntity entity,
		  const char *value, size_t len)
{
	if (entity == MASK_ENTITY_REST)
	{
		result->cut = true;
		return;
	}
	result->entities |= UINT64_C(1) << entity;
	result->counts[entity]++;
	result->hit_count++;
	if (options->found != NULL)
		options->found(options->found_arg, entity, value, len);
}

/* Writes text with its findings replaced into result. */
static MaskStatus
RenderHits(const MaskOptions *options, const char *text, size_t len,
		   const MaskHit *hits, size_t count, MaskResult *result)
{
	char		form[MASK_FORM_MAX];
	size_t		need = len;
	size_t		pos = 0;
	size_t		n = 0;

	for (size_t i = 0; i < count; i++)
		need += MaskForm(text, &hits[i], form) - (hits[i].end - hits[i].start);
	result->text = MaskAlloc(options, need + 1);
	if (result->text == NULL)
		return MASK_NO_MEMORY;
	for (size_t i = 0; i < count; i++)
	{
		n = Put(result->text, n, text +pos, hits[i].start - pos);
		n += MaskForm(text, &hits[i], result->text +n);
		pos = hits[i].end;
		NoteFound(options, result, hits[i].entity, text +hits[i].start,
				  hits[i].end - hits[i].start);
	}
	n = Put(result->text, n, text +pos, len - pos);
	result->text[n] = '\0';
	result->len = n;
	return MASK_MASKED;
}

/* MaskText with known values that were prepared before. */
static MaskStatus
TextWithSet(const MaskOptions *options, const KnownSet *set, const char *text,
			size_t len, MaskResult *result)
{
	MaskHit    *hits;
	size_t		count;

	memset(result, 0, sizeof(*result));
	result->status = FindWithSet(options, set, text, len, &hits, &count);
	if (result->status == MASK_WITHHELD)
		result->reason = "a search took too long";
	if (result->status != MASK_MASKED)
		return result->status;
	result->status = RenderHits(options, text, len, hits, count, result);
	MaskRelease(options, hits);
	return result->status;
}

KnownSet *
TextPrepare(const MaskOptions *options, const char *text, size_t len,
			MaskResult *result)
{
	KnownSet   *set;

	memset(result, 0, sizeof(*result));
	result->status = KnownPrepare(options, &set);
	if (result->status == MASK_WITHHELD)
		result->reason = "too many known values";
	if (result->status == MASK_CLEAN && Utf8Prefix(text, len) < len)
	{
		result->status = MASK_WITHHELD;
		result->reason = "not UTF-8";
	}
	return set;
}

MaskStatus
MaskText(const MaskOptions *options, const char *text, size_t len,
		 MaskResult *result)
{
	KnownSet   *set = TextPrepare(options, text, len, result);

	if (result->status == MASK_CLEAN)
		TextWithSet(options, set, text, len, result);
	KnownFree(options, set);
	return result->status;
}
