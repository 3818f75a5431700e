/*
 * json.c
 *	  Masking of JSON: by the names of keys and by content, at any depth,
 *	  also in JSON that stands inside strings.
 *
 * The document is walked once.  What needs no masking is copied byte for
 * byte; a string that does is written anew.  Strings are decoded before
 * they are scanned, so that an escape hides nothing.  A number that is
 * personal becomes a string.  Names of the two nearest keys are context for
 * what is below them.
 *
 * A card or IIN may be split over the elements of an array or over the
 * members of an object: the last scalars that hold digits alone are kept in
 * mind (the trail), and masked together when they make one.
 *
 * A document may be of nothing but short strings and keys.  Most hold nothing
 * that any detector asks for, which a glance tells (GlanceAt() in scan.c); and
 * what was found out about a short one is kept for when it comes again.
 *
 * The walk recurses, but no deeper than the caller's limit; beyond that the
 * document is withheld.  JSON inside strings is followed NEST_MAX times, and
 * each level is smaller than the one around it: the whole stays linear.  Where
 * the document's allowance of work ends (work.c), the rest is withheld: one
 * string stands for it, and what is open is closed; but all of it is read, since
 * what is no JSON is masked as a text.
 */
#include "mask/json.h"

#define NEST_MAX 8
#define SHORT_STRING 256		/* decoded without asking for memory */

const char	NotJson[] = "not JSON";
static const char too_deep[] = "nested too deep";

static bool WalkValue(JsonWalk *walk, KeyKind kind);

/* Writes something instead of a scalar, with quotes if it had none. */
static bool
EmitInstead(JsonWalk *walk, const JsonScalar *place, const char *text, size_t len)
{
	return JsonEmitUpTo(walk, place->start, place->end) &&
		JsonEmit(walk, "\"", place->bare) && JsonEmitEscaped(walk, text, len) &&
		JsonEmit(walk, "\"", place->bare);
}

/* Writes a scalar with its findings replaced. */
static bool
EmitHits(JsonWalk *walk, const JsonScalar *place, const TextPiece *piece,
		 const MaskHit *hits, size_t count)
{
	const char *text = piece->text;
	char		form[MASK_FORM_MAX];
	size_t		pos = 0;
	bool		good;

	CountJson(walk->root, WORK_PIECE + count * WORK_HIT);
	good = (hits[count - 1].entity != MASK_ENTITY_REST ||
			JsonWithholdTrail(walk)) &&
		JsonEmitUpTo(walk, place->start, place->end) &&
		JsonEmit(walk, "\"", place->bare);

	for (size_t i = 0; i < count && good; i++)
	{
		size_t		n = MaskForm(text, &hits[i], form);

		good = JsonEmitEscaped(walk, text +pos, hits[i].start - pos) &&
			JsonEmitEscaped(walk, form, n);
		pos = hits[i].end;
		NoteFound(walk->root->options, &walk->found,
				  (MaskEntity) hits[i].entity, text +hits[i].start,
				  hits[i].end - hits[i].start);
	}
	return good && JsonEmitEscaped(walk, text +pos, piece->len - pos) &&
		JsonEmit(walk, "\"", place->bare);
}

/*
 * What becomes of a scalar: *masked says whether it was written anew.  Here
 * by its content, with the walk's context.
 */
static bool
ScanPart(JsonWalk *walk, const JsonScalar *place, TextPiece *piece,
		 bool *masked)
{
	JsonRoot   *root = walk->root;
	Memo	   *memo = NULL;
	TextGlance	glance = GLANCE_MORE;
	MaskHit    *hits;
	size_t		count;
	MaskStatus	status;
	uint32_t	set;
	bool		good;

	/* a number has too many digits to be nothing, or would not be here */
	if (place->bare)
		glance = GLANCE_EVENTS;
	else if (root->glances)
	{
		memo = JsonMemoOf(root, piece, place->key);
		glance = memo != NULL ? memo->glance :
			GlanceAt(piece->text, piece->len, piece->room);
	}
	if (glance == GLANCE_NOTHING)
		return true;
	set = WithinContexts(&walk->context);
	if ((glance == GLANCE_NUMBERS && !(set >> CTX_BIRTH & 1)) ||
		(glance == GLANCE_QUIET && set == 0) ||
		(memo != NULL && memo->clean && memo->clean_set == set))
		return true;
	root->within.context = walk->context.words;
	root->within.context_len = walk->context.len;
	piece->outer = set;
	piece->plain = glance == GLANCE_EVENTS || glance == GLANCE_QUIET;
	status = FindInPiece(&root->within, root->set, piece, &hits, &count);
	if (memo != NULL)
	{
		memo->clean = status == MASK_CLEAN;
		memo->clean_set = set;
	}
	if (status == MASK_CLEAN)
		return true;
	if (status == MASK_WITHHELD)
		return Fail(walk, status, "a search took too long");
	if (status == MASK_NO_MEMORY)
		return Fail(walk, status, NULL);
	*masked = true;
	good = EmitHits(walk, place, piece, hits, count);
	MaskRelease(root->options, hits);
	return good;
}

/* Begins the walk over JSON inside a string of another. */
static void
BeginNested(const JsonWalk *walk, JsonWalk *inner, const char *text, size_t len)
{
	/* the rest is not read before it is written */
	ZeroBytes(inner, offsetof(JsonWalk, context));
	inner->root = walk->root;
	inner->text = text;

	inner->len = len;
	inner->depth = walk->depth;
	inner->nesting = walk->nesting + 1;
	inner->named = walk->named;
	inner->context = walk->context;
	ForgetTrail(&inner->trail);
}

/* Adds what a walk has found to the counts of the one around it. */
static void
CountNested(MaskResult *to, const MaskResult *from)
{
	to->cut |= from->cut;
	if (from->hit_count == 0)
		return;
	to->entities |= from->entities;
	to->hit_count += from->hit_count;
	for (int i = 0; i < MASK_ENTITY_ROOM; i++)
		to->counts[i] += from->counts[i];
}

/*
 * Walks over JSON inside a string, the document itself being the outermost.
 * inner's status then says what came of it; its output is to be released.
 */
static void
WalkNested(JsonWalk *inner)
{
	if (!WalkValue(inner, KEY_PLAIN))
		return;
	SkipSpace(inner);
	if (inner->pos < inner->len)
		Fail(inner, MASK_WITHHELD, NotJson);
	else if (inner->out != NULL)
		JsonEmitUpTo(inner, inner->len, inner->len);
}

/* Follows JSON inside a string; *followed says whether it was JSON. */
static bool
NestedPart(JsonWalk *walk, const JsonScalar *place, const char *text, size_t len,
		   bool *masked, bool *followed)
{
	JsonWalk	inner;
	bool		good = true;

	CountJson(walk->root, WORK_NESTED);
	BeginNested(walk, &inner, text, len);
	/* text that is no JSON on any level would be masked on all of them */
	if (walk->nesting > 0)
	{
		inner.cut = true;
		WalkNested(&inner);
		if (inner.status == MASK_CLEAN)
			BeginNested(walk, &inner, text, len);
	}
	if (inner.status == MASK_CLEAN)
		WalkNested(&inner);
	*followed = inner.status == MASK_CLEAN;
	if (!*followed)
	{
		if (inner.status == MASK_NO_MEMORY || inner.reason != NotJson)
			good = Fail(walk, inner.status, inner.reason);
	}
	else if (inner.out != NULL)
	{
		*masked = true;
		CountNested(&walk->found, &inner.found);
		good = EmitInstead(walk, place, inner.out, inner.out_len);
	}
	MaskRelease(walk->root->options, inner.out);
	return good;
}

/* The first character that is no space, 0 if there is none. */
static char
FirstChar(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!IsSpace((unsigned char) text[i]))
			return text[i];

	return '\0';
}

/* True if a text ends as JSON does that begins so: one cut short is none. */
static bool
EndsAsBegun(char first, const char *text, size_t len)
{
	while (len > 0 && IsJsonSpace((unsigned char) text[len - 1]))
		len--;
	return len > 1 && text[len - 1] == (first == '{' ? '}' :
										first == '[' ? ']' : first);
}

/* What the options' own context says, which a secret is looked at in. */
static uint32_t
OuterContexts(JsonRoot *root)
{
	if (!root->outer_known)
	{
		root->outer = ContextsOf(root->options->context,
								 root->options->context_len);
		root->outer_known = true;
	}
	return root->outer;
}

/* Masks the value of a sensitive key entirely. */
static bool
WholePart(JsonWalk *walk, KeyKind kind, const JsonScalar *place,
		  TextPiece *piece, bool *masked)
{
	JsonRoot   *root = walk->root;
	char		form[MASK_FORM_MAX];
	MaskHit		hit = {0};
	MaskHit    *hits = NULL;
	size_t		count = 0;
	MaskStatus	status = MASK_CLEAN;
	Memo	   *memo = NULL;

	CountJson(root, WORK_PIECE);
	piece->outer = OuterContexts(root);
	if (root->glances)
		memo = JsonMemoOf(root, piece, false);
	if (memo == NULL || (memo->glance != GLANCE_NOTHING &&
						 !(memo->clean && memo->clean_set == piece->outer)))
		status = FindInPiece(root->options, root->set, piece, &hits, &count);
	if (memo != NULL && memo->glance != GLANCE_NOTHING)
	{
		memo->clean = status == MASK_CLEAN;
		memo->clean_set = piece->outer;
	}
	hit.entity = kind == KEY_PASSWORD ? MASK_PASSWORD :
		kind == KEY_AUTHORIZATION ? MASK_AUTHORIZATION : MASK_SECRET;
	hit.end = piece->len;
	if (status == MASK_MASKED && count == 1 && hits[0].start == 0 &&
		hits[0].end == piece->len && hits[0].entity != MASK_ENTITY_REST)
		hit = hits[0];
	MaskRelease(root->options, hits);
	if (status == MASK_NO_MEMORY)
		return Fail(walk, status, NULL);
	/* of a value that no finder can be asked about nothing is shown */
	*masked = true;
	NoteFound(root->options, &walk->found, (MaskEntity) hit.entity,
			  piece->text, piece->len);
	return EmitInstead(walk, place, form, MaskForm(piece->text, &hit, form));
}

/*
 * True if the whole text is the form of a secret: masked before.  Nothing
 * less will do, or a password in angle brackets would stay.
 */
static bool
IsMaskedForm(const char *text, size_t len)
{
	if (len < 2 || text[0] != '<' || text[len - 1] != '>')
		return false;
	for (int i = MASK_URL_CREDENTIALS; i < MASK_ENTITY_COUNT; i++)
	{
		const char *name = MaskEntityName((MaskEntity) i);
		size_t		n = strlen(name);

		if (len == n + 2 && memcmp(text +1, name, n) == 0)
			return true;
	}
	return false;
}

/* What becomes of a decoded string. */
static bool
StringPart(JsonWalk *walk, KeyKind kind, const JsonScalar *place,
		   TextPiece *piece, bool *masked)
{
	const char *text = piece->text;
	size_t		len = piece->len;
	char		first;
	bool		followed;

	if (len == 0)
		return true;
	if (kind >= KEY_SECRET && !NamesNoSecret(kind, text, len))
		return IsMaskedForm(text, len) ||
			WholePart(walk, kind, place, piece, masked);
	first = FirstChar(text, len);
	if ((first == '{' || first == '[' || first == '"') &&
		EndsAsBegun(first, text, len))
	{
		if (walk->nesting >= NEST_MAX)
			return Fail(walk, MASK_WITHHELD, too_deep);
		if (!NestedPart(walk, place, text, len, masked, &followed))
			return false;
		if (followed)
			return true;
	}
	return ScanPart(walk, place, piece, masked);
}

/* Masks a decoded string. */
static bool
MaskDecoded(JsonWalk *walk, const JsonScalar *string, KeyKind kind,
			TextPiece *piece)
{
	bool		masked = false;

	if (walk->cut)
		return true;
	if (!StringPart(walk, kind, string, piece, &masked))
		return false;
	if (masked)
		ForgetTrail(&walk->trail);
	else if (!string->key)
		return JsonFollowTrail(walk, string, piece);
	return true;
}

/* Masks the string just read; its replacement, if any, is emitted. */
static bool
MaskString(JsonWalk *walk, const JsonScalar *string, KeyKind kind)
{
	size_t		len = string->end - string->start;
	TextPiece	piece = PieceOf(walk->text +string->start, len,
								walk->len - string->start);
	char		buffer[SHORT_STRING + GLANCE_ROOM];
	char	   *decoded = buffer;
	bool		good;

	if (!string->escaped)
		return MaskDecoded(walk, string, kind, &piece);
	if (len > SHORT_STRING)
		decoded = MaskAlloc(walk->root->options, len);
	if (decoded == NULL)
		return Fail(walk, MASK_NO_MEMORY, NULL);
	good = JsonDecode(piece.text, len, decoded, &piece.len) ||
		Fail(walk, MASK_WITHHELD, NotJson);
	piece.text = decoded;
	piece.room = len;
	if (good && decoded == buffer)
	{
		memset(buffer + piece.len, 0, GLANCE_ROOM);
		piece.room = piece.len + GLANCE_ROOM;
	}
	good = good && MaskDecoded(walk, string, kind, &piece);
	if (decoded != buffer)
		MaskRelease(walk->root->options, decoded);
	return good;
}

/*
 * True if a number may be an identifier: seven digits, no fraction but .0,
 * which *whole then leaves out.
 */
static bool
NumberMayMatter(const char *text, size_t *whole)
{
	size_t		len = *whole;
	const char *dot;

	if (len < 7 || !IsDigit((unsigned char) text[0]) ||
		!IsDigit((unsigned char) text[1]))
		return false;
	dot = memchr(text, '.', len);
	if (dot != NULL)
	{
		while (text[len - 1] == '0')
			len--;
		len -= text +len - 1 == dot;
	}
	if (len < 7)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!IsDigit((unsigned char) text[i]))
			return false;
	*whole = len;
	return true;
}

/*
 * A number or a literal; a number that is masked becomes a string.  What is no
 * number of JSON but made of the same characters is let pass, and looked at as
 * a string is: telephones and addresses are written so, too.
 */
static bool
WalkScalar(JsonWalk *walk, KeyKind kind)
{
	size_t		start = walk->pos;
	bool		word = IsAlpha((unsigned char) Peek(walk));
	size_t		number = word ? start : JsonNumberEnd(walk);
	size_t		end = JsonBareEnd(walk, number);
	const char *text = walk->text +start;
	TextPiece	piece = PieceOf(text, end - start, walk->len - start);
	JsonScalar	place = {start, end,.bare = true};
	bool		masked = false;
	bool		good = true;

	walk->pos = end;
	if (piece.len == 0)
		return Fail(walk, MASK_WITHHELD, NotJson);
	if (word)
		return JsonIsLiteral(text, piece.len) ||
			Fail(walk, MASK_WITHHELD, NotJson);
	if (walk->cut)
		return true;
	if (kind >= KEY_SECRET &&
		!(kind == KEY_SECRET && number == end &&
		  JsonIsMeasure(text, piece.len, false)))
		good = WholePart(walk, kind, &place, &piece, &masked);
	else if (number < end || NumberMayMatter(text, &piece.len) ||
			 walk->root->set != NULL)
	{
		/* without a known value it is here for its digits, and has no more */
		piece.number = walk->root->set == NULL && number == end;
		good = ScanPart(walk, &place, &piece, &masked);
	}
	if (!good)
		return false;
	if (!masked)
		return JsonFollowTrail(walk, &place, &piece);
	ForgetTrail(&walk->trail);
	return true;
}

/*
 * {"name": "api_token", "value": "..."}: the kind of key that a member's
 * string names for the member "value" after it.  The walk is at that string.
 */
static void
NoteName(JsonWalk *walk)
{
	const char *text = walk->text +walk->pos + 1;
	size_t		left = walk->len - walk->pos;
	const char *end;

	if (Peek(walk) != '"')
		return;
	end = memchr(text, '"', left > 96 ? 96 : left - 1);
	walk->named = end == NULL ? KEY_PLAIN :
		KindOfKey((const unsigned char *) text, (size_t) (end - text));

	if (walk->named <= KEY_VENDOR)
		walk->named = KEY_PLAIN;
}

/*
 * Masks a key within its object's context, and leaves the walk with that.
 * memo is what is known of the key, or NULL.
 */
static bool
MaskKey(JsonWalk *walk, const JsonScalar *key, const Memo *memo,
		JsonContext *outer)
{
	/* for all keys of the object, and not for this one alone */
	if (memo != NULL && memo->glance != GLANCE_NOTHING)
		WithinContexts(outer);
	JsonCopyContext(&walk->context, outer);
	return (memo != NULL && memo->glance == GLANCE_NOTHING) ||
		MaskString(walk, key, KEY_PLAIN);
}

/* Reads a key; its name without escapes, the end if it is long. */
static bool
ReadKey(JsonWalk *walk, JsonScalar *key, char *decoded, const char **name,
		size_t *len)
{
	if (Peek(walk) != '"' || !JsonReadString(walk, key))
		return Fail(walk, MASK_WITHHELD, NotJson);
	key->key = true;
	*len = key->end - key->start < CONTEXT_ROOM ? key->end - key->start :
		CONTEXT_ROOM;
	*name = walk->text +key->end - *len;

	if (key->escaped && *len < CONTEXT_ROOM)
	{
		*name = decoded;
		if (!JsonDecode(walk->text +key->start, *len, decoded, len))
			*len = 0;
	}
	return true;
}

/* Passes over the colon behind a key. */
static bool
PassColon(JsonWalk *walk)
{
	SkipSpace(walk);
	if (Peek(walk) != ':')
		return Fail(walk, MASK_WITHHELD, NotJson);
	walk->pos++;
	return true;
}

/* A member that is withheld, which is to be JSON none the less. */
static bool
WalkWithheld(JsonWalk *walk)
{
	JsonScalar	key;

	if (Peek(walk) != '"' || !JsonReadString(walk, &key))
		return Fail(walk, MASK_WITHHELD, NotJson);
	return MaskString(walk, &key, KEY_PLAIN) && PassColon(walk) &&
		WalkValue(walk, KEY_PLAIN);
}

/* One key and its value; outer is the context of their object. */
static bool
WalkMember(JsonWalk *walk, KeyKind kind, JsonContext *outer)
{
	JsonScalar	key;
	char		decoded[CONTEXT_ROOM];
	const char *name;
	size_t		len;
	Memo	   *memo = NULL;
	Memo		judged;
	KeyKind		own;

	if (walk->cut)
		return WalkWithheld(walk);
	if (!ReadKey(walk, &key, decoded, &name, &len))
		return false;
	/* a bracket may begin JSON: nothing but a walk tells what is in that */
	if (!key.escaped && *name != '[' && *name != '{' && *name != ' ')
	{
		TextPiece	piece = PieceOf(name, len, walk->len - key.start);

		memo = JsonMemoOf(walk->root, &piece, true);
	}
	if (!MaskKey(walk, &key, memo, outer) || !PassColon(walk))
		return false;
	JsonPushContext(&walk->context, name, len, memo);
	if (memo == NULL)
		JsonJudgeKey(memo = &judged, name, len);
	else if (!memo->judged)
		JsonJudgeKey(memo, name, len);
	SkipSpace(walk);
	if (memo->names)
		NoteName(walk);
	own = JsonKindOfMember(walk, memo->kind, name, len);
	if (memo->holds && walk->named > own)
		own = walk->named;
	own = own > kind ? own : kind;
	if (own >= KEY_SECRET && walk->schema == SCHEMA_WITHIN &&
		JsonOnlyDescribes(walk, name, len))
		own = KEY_PLAIN;
	walk->schema = JsonEnterSchema(walk, name, len);
	return WalkValue(walk, own);
}

/* An object or array, at its bracket. */
static bool
WalkContainer(JsonWalk *walk, KeyKind kind, char close)
{
	JsonContext outer;
	KeyKind		named = walk->named;
	bool		shown = !walk->cut;
	SchemaPlace schema = walk->schema;
	bool		thinks = walk->thinks;
	bool		spelt = walk->spelt;

	if (++walk->depth > walk->root->max_depth)
		return Fail(walk, MASK_WITHHELD, too_deep);
	JsonCutContext(&walk->context, &outer);
	walk->pos++;
	walk->named = KEY_PLAIN;
	walk->thinks = walk->spelt = false;
	SkipSpace(walk);
	for (bool first = true; Peek(walk) != close; first = false)
	{
		if (!first)
		{
			if (Peek(walk) != ',')
				return Fail(walk, MASK_WITHHELD, NotJson);
			walk->pos++;
			SkipSpace(walk);
		}
		walk->schema = schema;
		if (close == '}' ? !WalkMember(walk, kind, &outer) :
			!WalkValue(walk, kind))
			return false;
		SkipSpace(walk);
	}
	walk->pos++;
	walk->depth--;
	if (walk->cut)
		return !shown || JsonEmit(walk, &close, 1);
	walk->named = named;
	walk->thinks = thinks;
	walk->spelt = spelt;
	JsonCopyContext(&walk->context, &outer);
	return true;
}

/*
 * Puts one string in the place of all that follows, which is still read: what
 * is no JSON in the end is masked as a text.
 */
static bool
CutHere(JsonWalk *walk)
{
	walk->cut = walk->found.cut = true;
	return JsonWithholdTrail(walk) && JsonEmitUpTo(walk, walk->pos, walk->len) &&
		JsonEmit(walk, JSON_WITHHELD, sizeof(JSON_WITHHELD) - 1);
}

/* Any value; kind is what the keys above it say. */
static bool
WalkValue(JsonWalk *walk, KeyKind kind)
{
	JsonScalar	string;

	if (!walk->cut && WorkIsSpent(walk->root->options->work) &&
		!CutHere(walk))
		return false;
	CountJson(walk->root, WORK_SCALAR);
	SkipSpace(walk);
	switch (Peek(walk))
	{
		case '{':
			return WalkContainer(walk, kind, '}');
		case '[':
			return WalkContainer(walk, kind, ']');
		case '"':
			return JsonReadString(walk, &string) &&
				MaskString(walk, &string, kind);
		default:
			return WalkScalar(walk, kind);
	}
}

/* Says what all walks of a document have in common. */
static void
BeginRoot(JsonRoot *root, const MaskOptions *options, const KnownSet *set)
{
	ZeroBytes(root, offsetof(JsonRoot, memos));
	root->options = options;
	root->set = set;
	root->within = *options;
	root->glances = set == NULL;
	for (int i = 0; i < MASK_FINDERS; i++)
		root->glances &= options->finders[i].find == NULL;
	root->max_depth = options->max_depth > 0 ? options->max_depth :
		MASK_DEFAULT_DEPTH;
}

/* Masks a document with prepared known values; result is empty before. */
static void
JsonWithSet(const MaskOptions *options, const KnownSet *set, const char *text,
			size_t len, MaskResult *result)
{
	JsonRoot	root;
	JsonWalk	walk;

	ScanPrepare();
	BeginRoot(&root, options, set);
	ZeroBytes(&walk, offsetof(JsonWalk, trail));
	ForgetTrail(&walk.trail);
	walk.root = &root;
	walk.text = text;

	walk.len = len;
	if (options->context_len > 0)
		JsonPushContext(&walk.context, options->context, options->context_len,
						NULL);
	WalkNested(&walk);
	if (walk.status != MASK_CLEAN)
	{
		MaskRelease(options, walk.out);
		result->status = walk.status;
		result->reason = walk.reason;
	}
	else if (walk.out != NULL)
	{
		walk.out[walk.out_len] = '\0';	/* JsonEmit keeps a byte for it */
		*result = walk.found;
		result->status = MASK_MASKED;
		result->text = walk.out;
		result->len = walk.out_len;
	}
}

/* Options of which all parts of a document of len bytes share the work. */
static MaskOptions
OptionsWithWork(const MaskOptions *options, MaskWork *work, size_t len)
{
	MaskOptions own = *options;

	if (own.work == NULL)
	{
		WorkAllow(work, len);
		own.work = work;
	}
	return own;
}

MaskStatus
MaskJson(const MaskOptions *options, const char *text, size_t len,
		 MaskResult *result)
{
	MaskWork	work;
	MaskOptions own = OptionsWithWork(options, &work, len);
	KnownSet   *set = TextPrepare(&own, text, len, result);

	if (result->status == MASK_CLEAN)
		JsonWithSet(&own, set, text, len, result);
	KnownFree(&own, set);
	return result->status;
}

MaskStatus
MaskDocument(const MaskOptions *options, const char *text, size_t len,
			 MaskResult *result)
{
	char		first = FirstChar(text, len);
	MaskWork	work;
	MaskOptions own = OptionsWithWork(options, &work, len);

	if ((first == '{' || first == '[') && EndsAsBegun(first, text, len))
	{
		MaskJson(&own, text, len, result);
		if (result->status != MASK_WITHHELD || result->reason != NotJson)
			return result->status;
	}
	return MaskText(&own, text, len, result);
}
