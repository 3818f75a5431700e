/*
 * detect_assign.c
 *	  Secrets by the name of what they are assigned to: password=...,
 *	  "apiKey": "...", X-Api-Key: ..., <token>...</token>.
 *
 * The name tells how much the value has to look like a secret: a password
 * may be anything, a token has digits and entropy, and a vendor's name needs
 * more of both.
 */
#include "mask/lexicon.h"
#include "mask/scan.h"
#include "mask/validate.h"

#include <string.h>

#define KEY_ROOM 80
#define VALUE_ROOM 512
#define NEAR_VALUE 12			/* " will be " and no more is between */

/* ---------------- names of keys ---------------- */

/* What a character of a key becomes: small letters, 0 for separators. */
static char key_letter[256];

/*
 * A key in small letters without separators; its length.  *word is set if it
 * has more than hexadecimal digits: every word of a key has.
 */
static size_t
CompactKey(const unsigned char *key, size_t len, char *out, bool *word)
{
	size_t		n = 0;
	unsigned	all = 0;
	bool		more = false;

	if (len > KEY_ROOM)
	{
		key += len - KEY_ROOM;
		len = KEY_ROOM;
	}
	for (size_t i = 0; i < len; i++)
	{
		char		c = key_letter[key[i]];

		all |= key[i];
		more |= (unsigned char) c > 'f';
		out[n] = c;
		n += c != 0;
	}
	*word = more;
	if (all >= 0x80)
		FoldCopy((unsigned char *) out, n, (unsigned char *) out);
	out[n] = '\0';
	return n;
}

/* True if a word is in a list of words that are framed by '|'. */
bool
IsListed(const char *list, const char *word, size_t len)
{
	char		framed[32];

	if (len == 0 || len > sizeof(framed) - 3)
		return false;
	framed[0] = '|';
	memcpy(framed + 1, word, len);
	framed[len + 1] = '|';
	framed[len + 2] = '\0';
	return strstr(list, framed) != NULL;
}

/* True if what follows the word in the key is one of these. */
static bool
IsHarmlessSuffix(const char *rest)
{
	static const char suffixes[] =
	"|s|count|counts|limit|limits|type|types|name|names|id|ids|url|uri|"
	"endpoint|size|length|len|expiry|expires|expiresin|expiresat|"
	"expiration|ttl|policy|reset|field|label|izer|ize|ized|ization|"
	"version|path|file|filename|dir|regex|pattern|usage|used|budget|rate|"
	"price|cost|minute|perminute|ary|aries|variable|ref|arn|provider|"
	"strength|hint|rotation|lifetime|manager|details|stream|logprobs|"
	"index|source|required|enabled|changed|changedat|createdat|"
	"algorithm|hashalgorithm|header|prefix|format|class|status|position|sused|slimit|"
	"spersecond|sperminute|spermin|scount|smax|sremaining|susage|stotal|sid|"
	"sids|reseturl|resetlink|encryption|hasher|hashers|minlength|maxlength|"
	"timeout|resettimeout|maxage|maxattempts|attempts|days|minutes|seconds|"
	"managerproject|project|created|updated|deleted|keyref|";

	return IsListed(suffixes, rest, strlen(rest));
}

#define KEY_WORD_ROOM 20

/*
 * The word of a name that ends at *end, by separators and by the case of
 * letters, in small letters; its length, which is 0 if there is none.  Moves
 * *end to before it.
 */
static size_t
WordBefore(const unsigned char *key, size_t *end, char *out)
{
	size_t		stop = *end;
	size_t		start;

	while (stop > 0 && key_letter[key[stop - 1]] == 0)
		stop--;
	start = stop;
	while (start > 0 && IsAlpha(key[start - 1]) &&
		   !(start < stop && IsUpper(key[start]) && !IsUpper(key[start - 1])))
		start--;
	*end = start;
	if (stop - start > KEY_WORD_ROOM)
		return 0;
	for (size_t i = start; i < stop; i++)
		out[i - start] = (char) (key[i] | 0x20);
	return stop - start;
}

/*
 * True if the last word of a name, which is behind the one that speaks of a
 * secret, is of something about it: user_api_key_team_id, token_accuracy.
 */
static bool
HarmlessEnd(const unsigned char *key, size_t len, const char *rest)
{
	static const char words[] =
	"|id|ids|alias|aliases|route|budget|spend|rate|count|counts|counter|"
	"score|accuracy|recall|precision|interval|age|throughput|latency|leak|"
	"leakage|detected|supported|methods|endpoint|changed|used|seen|time|";
	char		last[KEY_WORD_ROOM];
	size_t		n = WordBefore(key, &len, last);

	if (n == 2 && memcmp(last, "at", 2) == 0)
		return strlen(rest) > 5;	/* last_used_at, budget_reset_at */
	return n <= strlen(rest) && IsListed(words, last, n);
}

/*
 * True if what follows the word in the key, or its plural, says that it's no
 * secret: password_policy, prompt_tokens_details.
 */
static bool
HarmlessSuffix(const unsigned char *key, size_t len, const char *rest)
{
	if (rest[0] == '\0' || strcmp(rest, "ss") == 0)
		return false;
	return IsHarmlessSuffix(rest) ||
		(rest[0] == 's' && IsHarmlessSuffix(rest + 1)) ||
		HarmlessEnd(key, len, rest);
}

/* Where the last "token" of a name begins, its end if there is none. */
static size_t
LastToken(const unsigned char *key, size_t len)
{
	for (size_t at = len < 5 ? 0 : len - 4; at-- > 0;)
		if (FoldMatch(key, len, at, "token", 5) > 0)
			return at;
	return len;
}

/*
 * True for tokens that are no credentials: those of a model, by what they are
 * for (bos_token, cost_per_audio_token) or counted (llm.token_count.prompt,
 * tokenizer_class), and those that tell where a list goes on (nextPageToken).
 */
static bool
IsUnitToken(const unsigned char *key, size_t len, const char *rest)
{
	static const char before[] =
	"|bos|eos|unk|pad|sep|cls|mask|stop|special|first|per|page|next|"
	"continuation|progress|idempotency|";
	static const char *const behind[] =
	{"iz", "count", "usage", "limit", "budget", "metadata", "typeid",
	"sdecoder"};
	size_t		at = LastToken(key, len);
	char		word[KEY_WORD_ROOM];
	size_t		n;

	if (at == len)
		return false;
	for (int i = 0; i < 8; i++)
		if (strncmp(rest, behind[i], strlen(behind[i])) == 0)
			return true;
	n = WordBefore(key, &at, word);
	if (IsListed(before, word, n))
		return true;
	n = n == 0 ? 0 : WordBefore(key, &at, word);
	return n == 3 && memcmp(word, "per", 3) == 0;
}

/* True if a name counts tokens: what is a number there is no secret. */
bool
KeyCountsTokens(const char *key, size_t len)
{
	size_t		at = LastToken((const unsigned char *) key, len);

	return at + 6 <= len && (key[at + 5] | 0x20) == 's';
}

static const char password_words[] =
"password|passwd|passphrase|passcode|passwort|motdepasse|contrase|"
LEX_PASSWORD;

static const char secret_words[] =
"secret|token|apikey|accesskey|privatekey|privkey|authkey|signingkey|"
"encryptionkey|masterkey|accountkey|sharedkey|licensekey|subscriptionkey|"
"sshkey|servicekey|adminkey|storagekey|clientkey|insertkey|ingestkey|"
"credential|creds|bearer|authtoken|sessionkey|webhookkey|consumerkey|appkey|"
"connectionstring|mnemonic|seedphrase|cookie|accesskeyid|seckey|"
"signature|securitykey|hmackey|writekey|readkey|deploykey|cryptkey|"
LEX_SECRET "|slkey|cloudiamkey|softlayerkey|iamkey|awskey|gcpkey|"
"azurekey|openaikey|anthropickey|alibabakey|publickeytoken|sessionid|"
"integrationkey|routingkey|projectkey|ocpapimsubscription|apim";

/* Vendors whose keys have no prefix; the key's name is their sign. */
static const char vendor_words[] =
"adafruit|adobe|airtable|algolia|alibaba|asana|atlassian|confluence|jira|"
"authress|azure|beamer|bitbucket|bittrex|cisco|clickhouse|clojars|"
"cloudflare|codecov|cohere|coinbase|confluent|contentful|contribsys|"
"databricks|datadog|defined|digitalocean|discord|doppler|droneci|dropbox|"
"duffel|dynatrace|easypost|etsy|facebook|fastly|finicity|finnhub|flickr|"
"flutterwave|frameio|freshbooks|github|gitlab|gitter|gocardless|grafana|"
"harness|hashicorp|heroku|hubspot|huggingface|infracost|intercom|intra42|"
"jfrog|artifactory|bintray|xray|kraken|kucoin|launchdarkly|linear|linkedin|"
"lob|looker|mailchimp|mailgun|mapbox|mattermost|maxmind|meraki|messagebird|"
"netlify|newrelic|notion|npm|nytimes|okta|openai|openshift|perplexity|"
"plaid|planetscale|postman|prefect|pulumi|pypi|rapidapi|readme|rubygems|"
"scalingo|sendbird|sendgrid|sendinblue|sentry|settlemint|shippo|shopify|"
"sidekiq|slack|snyk|softlayer|sonar|sourcegraph|square|squarespace|stripe|"
"sumo|telegr|terraform|travis|trello|twilio|twitch|twitter|typeform|vault|"
"yandex|zendesk|langfuse|litellm|mistral|groq|openrouter|pinecone|"
"replicate|deepseek|ibmcos|ibmcloud|cloudant|cohesity|freemius|octopus";

/* One word of the lists above, in a bucket by its first three letters. */
typedef struct KeyWord
{
	const char *text;
	uint32_t	three;			/* those letters */
	int16_t		next;
	uint8_t		len;
	uint8_t		kind;
} KeyWord;

#define KEY_WORDS 400
#define KEY_BUCKETS 4096
static KeyWord key_words[KEY_WORDS];
static int16_t key_bucket[KEY_BUCKETS];
static int	key_word_count = 0;

/* Puts a letter behind the last two: the first three of a word. */
static inline uint32_t
NextThree(uint32_t three, char letter)
{
	return three >> 8 | (uint32_t) (unsigned char) letter << 16;
}

static inline unsigned
KeyBucket(uint32_t three)
{
	return three * 0x9E3779B1u >> 20;
}

/* Adds a list separated by '|' to the buckets. */
static void
AddKeyWords(const char *list, KeyKind kind)
{
	while (*list && key_word_count < KEY_WORDS)
	{
		KeyWord    *word = &key_words[key_word_count];
		size_t		len = strcspn(list, "|");
		uint32_t	three = NextThree(NextThree(NextThree(0, list[0]), list[1]),
									  list[2]);
		unsigned	bucket = KeyBucket(three);

		word->text = list;
		word->three = three;
		word->len = (uint8_t) len;
		word->kind = (uint8_t) kind;
		word->next = key_bucket[bucket];
		key_bucket[bucket] = (int16_t) key_word_count++;
		list += len + (list[len] == '|');
	}
}

/* Fills the buckets, once per process. */
static void
PrepareKeyWords(void)
{
	memset(key_bucket, 0xFF, sizeof(key_bucket));
	for (int c = ' ' + 1; c < 256; c++)
		if (c != '_' && c != '-' && c != '.')
			key_letter[c] = (char) (IsUpper((unsigned char) c) ? c | 0x20 : c);
	AddKeyWords(password_words, KEY_PASSWORD);
	AddKeyWords(secret_words, KEY_SECRET);
	AddKeyWords(vendor_words, KEY_VENDOR);
}

/* For each kind, where its last word in a name ends; NULL if none is in it. */
static void
FindKeyWords(const char *name, size_t len, const char **end)
{
	uint32_t	three = NextThree(NextThree(0, name[0]), name[1]);

	for (size_t i = 0; i + 3 <= len; i++)
	{
		three = NextThree(three, name[i + 2]);
		for (int w = key_bucket[KeyBucket(three)]; w >= 0; w = key_words[w].next)
		{
			const KeyWord *word = &key_words[w];

			if (word->three == three && i + word->len <= len &&
				memcmp(name + i + 3, word->text +3, word->len - 3u) == 0 &&
				end[word->kind] < name + i + word->len)
				end[word->kind] = name + i + word->len;
		}
	}
}

/* True if a name of n bytes is, or ends with, a word (a literal). */
#define IS(name, n, word) \
	((n) == sizeof(word) - 1 && memcmp(name, word, sizeof(word) - 1) == 0)
#define ENDS(name, n, word) \
	((n) >= sizeof(word) - 1 && \
	 memcmp((name) + (n) - (sizeof(word) - 1), word, sizeof(word) - 1) == 0)

/*
 * What the name of a key says about its value.  len is in bytes; case and
 * separators don't matter.
 */
KeyKind
KindOfKey(const unsigned char *key, size_t len)
{
	char		name[KEY_ROOM + 1];
	const char *end[KEY_PASSWORD + 1] = {NULL};
	bool		word;
	size_t		n;

	if (len < 3)
		return KEY_PLAIN;
	if (key_word_count == 0)
		PrepareKeyWords();
	n = CompactKey(key, len, name, &word);
	if (n < 3 || !word)
		return KEY_PLAIN;
	FindKeyWords(name, n, end);
	if (end[KEY_PASSWORD] != NULL && strcmp(end[KEY_PASSWORD], "s") == 0)
		return KEY_PASSWORD;
	if (end[KEY_PASSWORD] != NULL)
		return HarmlessSuffix(key, len, end[KEY_PASSWORD]) ? KEY_PLAIN :
			KEY_PASSWORD;
	if (ENDS(name, n, "pwd") ||
		(n > 3 && ENDS(name, n, "pw") &&
		 !IsDigit((unsigned char) name[n - 3])) ||
		(ENDS(name, n, "pass") && !ENDS(name, n, "bypass") &&
		 !ENDS(name, n, "compass")))
		return KEY_PASSWORD;
	if (ENDS(name, n, "authorization"))
		return KEY_AUTHORIZATION;
	if (end[KEY_SECRET] != NULL)
	{
		const char *rest = end[KEY_SECRET];

		bool		token = rest - name >= 5 && memcmp(rest - 5, "token", 5) == 0;

		/* secrets and credentials, but not tokens: those are counted */
		if (!token && strcmp(rest, "s") == 0)
			return KEY_SECRET;
		/* what a model signs its thoughts with opens nothing */
		if (ENDS(name, n, "thoughtsignature") ||
			ENDS(name, n, "thinkingsignature"))
			return KEY_PLAIN;
		return HarmlessSuffix(key, len, rest) ||
			(token && IsUnitToken(key, len, rest)) ? KEY_PLAIN : KEY_SECRET;
	}
	if (IS(name, n, "auth") || IS(name, n, "sig") || IS(name, n, "xauth"))
		return KEY_SECRET;
	if (IS(name, n, "key") || IS(name, n, "access"))
		return KEY_VENDOR;
	if (end[KEY_VENDOR] != NULL && !HarmlessSuffix(key, len, end[KEY_VENDOR]))
		return KEY_VENDOR;
	return IS(name, n, "pat") ||
		(ENDS(name, n, "key") && !ENDS(name, n, "publickey")) ? KEY_NAMED :
		KEY_PLAIN;
}

/*
 * The same of a key of this text.  Lists of records repeat a few keys: the
 * last few are known by where they stand.
 */
static KeyKind
KindOfKeyAt(MaskScan *scan, size_t start, size_t end)
{
	const unsigned char *key = scan->text +start;
	size_t		len = end - start;
	KeyMemo    *memo;
	size_t		slot;

	if (len < 3)
		return KEY_PLAIN;
	if (len > UINT8_MAX)
	{
		CountWork(scan, KEY_ROOM * WORK_KEY_BYTE);
		return KindOfKey(key, len);
	}
	slot = (len * 11 + key[0] + 5u * key[len - 1] + 3u * key[len / 2]) %
		KEY_MEMOS;
	memo = &scan->keys[slot];
	if (scan->key_len[slot] == len &&
		memcmp(scan->text +memo->pos, key, len) == 0)
		return memo->kind;
	CountWork(scan, (len < KEY_ROOM ? len : KEY_ROOM) * WORK_KEY_BYTE);
	memo->pos = start;
	scan->key_len[slot] = (uint8_t) len;
	memo->kind = KindOfKey(key, len);
	return memo->kind;
}

/* True if a text has nothing but letters and those characters. */
static bool
HasOnly(const char *text, size_t len, const char *others)
{
	for (size_t i = 0; i < len; i++)
		if (!IsAlpha((unsigned char) text[i]) &&
			memchr(others, text[i], strlen(others)) == NULL)
			return false;
	return len > 0;
}

/* True if a text begins and ends so; how far it does is then in *begin. */
static bool
IsBetween(const char *text, size_t len, const char *first, const char *last,
		  size_t *begin)
{
	size_t		n = strlen(first);
	size_t		m = strlen(last);

	*begin = n;
	return len > n + m && memcmp(text, first, n) == 0 &&
		memcmp(text +len - m, last, m) == 0;
}

/*
 * True for a name in capitals that is not the secret but what that is called:
 * OPENAI_API_KEY.
 */
static bool
IsNameOfSecret(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!IsUpper((unsigned char) text[i]) && text[i] != '_')
			return false;
	return memchr(text, '_', len) != NULL &&
		KindOfKey((const unsigned char *) text, len) >= KEY_SECRET;
}

/* True for a model's token that stands for no text: <s>, <|im_end|>, [CLS]. */
static bool
IsSpecialToken(const char *text, size_t len)
{
	size_t		n;

	if (len > 40)
		return false;
	return (IsBetween(text, len, "<", ">", &n) && HasOnly(text +1, len - 2, "_|/")) ||
		(IsBetween(text, len, "[", "]", &n) && HasOnly(text +1, len - 2, "_"));
}

/*
 * True if the whole value of a key of that kind tells where its secret is:
 * ${NAME}, {{name}}, os.environ/NAME, "#/components/schemas/Token".  It has
 * no digits, as secrets have, and no default (${NAME:-value}).
 */
bool
NamesNoSecret(KeyKind kind, const char *text, size_t len)
{
	size_t		n;

	if (len < 3 || memchr("$<[{#o", text[0], 6) == NULL)
		return kind == KEY_SECRET && IsNameOfSecret(text, len);
	if (IsBetween(text, len, "${{", "}}", &n) || IsBetween(text, len, "{{", "}}", &n))
		return HasOnly(text +n, len - n - 2, "_. ");
	if (IsBetween(text, len, "${input:", "}", &n) ||
		IsBetween(text, len, "${env:", "}", &n) || IsBetween(text, len, "${", "}", &n))
		return HasOnly(text +n, len - n - 1, "_.");
	if (IsBetween(text, len, "os.environ/", "", &n))
		return HasOnly(text +n, len - n, "_");
	if (kind == KEY_PASSWORD)
		return false;
	if (text[0] == '#')
		return IsBetween(text, len, "#/components/", "", &n) ||
			IsBetween(text, len, "#/$defs/", "", &n) ||
			IsBetween(text, len, "#/definitions/", "", &n);
	return kind == KEY_SECRET && IsSpecialToken(text, len);
}

bool
MaskKeyIsSensitive(const char *key, size_t len)
{
	return KindOfKey((const unsigned char *) key, len) >= KEY_SECRET;
}

/* ---------------- values ---------------- */

/*
 * Counts of a value's bytes by class, in one number: each has ten bits, and a
 * value has at most VALUE_ROOM bytes.
 */
typedef enum LookClass
{
	LOOK_SYMBOL = 0,
	LOOK_DIGIT,
	LOOK_LETTER,
	LOOK_SPACE,
	LOOK_JOIN					/* "_-." */
} LookClass;

#define LOOK_BITS 10
#define LOOK_COUNT(counts, class) \
	((int) ((counts) >> ((class) * LOOK_BITS) & ((1 << LOOK_BITS) - 1)))

static uint64_t look_count[256];	/* one of the byte's class */

/*
 * The case of ASCII letters, and by the cases of three, the last in the
 * lowest two bits, whether one small letter is between capitals.
 */
#define CASE_SMALL 1
#define CASE_CAPITAL 2
static uint8_t look_case[256];
static uint8_t look_turn[64];

/* The class of a byte. */
static LookClass
ClassOf(unsigned char c)
{
	if (IsDigit(c))
		return LOOK_DIGIT;
	if (InSet(c, SET_WORD))
		return LOOK_LETTER;
	if (IsSpace(c))
		return LOOK_SPACE;
	return c == '_' || c == '-' || c == '.' ? LOOK_JOIN : LOOK_SYMBOL;
}

/* Fills in the tables, once per process. */
static void
PrepareLook(void)
{
	for (int c = 0; c < 256; c++)
	{
		unsigned char byte = (unsigned char) c;

		look_count[c] = UINT64_C(1) << (ClassOf(byte) * LOOK_BITS);
		look_case[c] = IsUpper(byte) ? CASE_CAPITAL : IsAlpha(byte) ? CASE_SMALL : 0;
	}
	/* a capital that begins or ends one small letter: aBc, AbC */
	look_turn[CASE_SMALL << 4 | CASE_CAPITAL << 2 | CASE_CAPITAL] = 1;
	look_turn[CASE_CAPITAL << 4 | CASE_SMALL << 2 | CASE_CAPITAL] = 1;
}

/* Counts what a value is made of. */
static ValueLook
LookAt(const MaskScan *scan, const Value *value)
{
	const unsigned char *text = scan->text;
	ValueLook	look = {0};
	uint64_t	counts = 0;
	unsigned	cases = 0;
	int			last = -1;
	int			same = 1;

	if (look_count[0] == 0)
		PrepareLook();
	for (size_t i = value->start; i < value->end; i++)
	{
		unsigned char c = text[i];

		same = c == last ? same + 1 : 1;
		last = c;
		if (same > 2 && same > look.filler &&
			strchr("xX*.-_#?0", c) != NULL)
			look.filler = same;
		counts += look_count[c];
		cases = (cases << 2 | look_case[c]) & 63;
		look.turns += look_turn[cases];
	}
	look.digits = LOOK_COUNT(counts, LOOK_DIGIT);
	look.letters = LOOK_COUNT(counts, LOOK_LETTER);
	look.symbols = LOOK_COUNT(counts, LOOK_SYMBOL);
	look.spaces = LOOK_COUNT(counts, LOOK_SPACE);
	return look;
}

/*
 * Beginnings of values that stand for a value, by their first letter; '$'
 * demands the whole.
 */
static const char *const placeholders[26][9] =
{
	['a' - 'a'] = {"arn:aws"},
	['b' - 'a'] = {"bytes$"},
	['c' - 'a'] = {"config.", "credentials."},
	['d' - 'a'] = {"data."},
	['e' - 'a'] = {"example", "env.", "env[", "env(", "enter your", "enc["},
	['f' - 'a'] = {"false$", "file:"},
	['g' - 'a'] = {"getenv"},
	['i' - 'a'] = {"insert"},
	['l' - 'a'] = {"local."},
	['m' - 'a'] = {"module."},
	['n' - 'a'] = {"null$", "none$", "nil$", "not set$", "n/a$", "no$"},
	['o' - 'a'] = {"os.environ", "os.getenv", "optional$", "optional[",
	"op://"},
	['p' - 'a'] = {"placeholder", "process.env", "prompt$", "params["},
	['r' - 'a'] = {"redacted", "required$", "required|", "request.",
	"replace_me", "replace-me", "replaceme"},
	['s' - 'a'] = {"string$", "str$", "self.", "settings.", "secrets.",
	"system.getenv", "secretsmanager:"},
	['t' - 'a'] = {"true$", "this.", "text$", "todo$"},
	['u' - 'a'] = {"undefined$"},
	['v' - 'a'] = {"var.", "vault:"},
	['x' - 'a'] = {"xxx"},
	['y' - 'a'] = {"your", "yes$"},
};

/* True if the folded value begins with (or is) one of them. */
static bool
IsPlaceholderWord(const MaskScan *scan, const Value *value)
{
	unsigned char first = scan->text[value->start];

	if (!IsAlpha(first))
		return false;
	for (const char *const *word = placeholders[(first | 0x20) - 'a'];
		 *word != NULL; word++)
	{
		size_t		len;
		bool		whole;
		size_t		n;

		if (value->end - value->start < 2 || (unsigned char) (*word)[1] !=
			(scan->text[value->start + 1] | 0x20))
			continue;			/* the second letter */
		len = strlen(*word);
		whole = (*word)[len - 1] == '$';

		n = FoldMatch(scan->text, value->end, value->start, *word,
					  len - whole);
		if (n > 0 && (!whole || value->start + n == value->end))
			return true;
	}
	return false;
}

/*
 * True for what tells where a value is: a tag of YAML (!secret db_password),
 * the path of a file without digits (/run/secrets/db).
 */
static bool
IsReference(const MaskScan *scan, const Value *value)
{
	static const char *const tags[] = {"!secret", "!ref", "!vault", "!sub"};
	unsigned char first = scan->text[value->start];
	int			slashes = 0;

	for (size_t i = 0; first == '!' && i < 4; i++)
		if (FoldMatch(scan->text, value->end, value->start, tags[i],
					  strlen(tags[i])) > 0)
			return true;
	for (size_t i = value->start; first == '/' && i < value->end; i++)
	{
		unsigned char c = scan->text[i];

		slashes += c == '/';
		if (c != '/' && c != '_' && c != '-' && c != '.' && !IsAlpha(c))
			return false;
	}
	return slashes > 1;
}

/* Values that stand for a value: variables, examples, stars. */
static bool
IsPlaceholder(const MaskScan *scan, const Value *value, const ValueLook *look)
{
	unsigned char c = scan->text[value->start];
	size_t		len = value->end - value->start;

	if (c == '$' || c == '<' || c == '*' || c == '[' ||
		(c == '{' && ByteAt(scan, value->start + 1) != '"') ||
		(c == '%' && len > 2 && scan->text[value->end - 1] == '%') ||
		(c == '#' && ByteAt(scan, value->start + 1) == '{') ||
		IsReference(scan, value))
		return true;
	/* a bind variable, an anchor, a type */
	if ((c == '@' || c == ':' || c == '&') && look->digits == 0 &&
		look->symbols == 1 && look->spaces == 0)
		return true;
	if (look->filler >= 8 || (look->filler >= 4 && look->digits == 0))
		return true;
	return IsPlaceholderWord(scan, value);
}

/* The same of a part of the text, for other detectors. */
bool
StandsForSecret(const MaskScan *scan, size_t start, size_t end)
{
	Value		value = {start, end, 0};
	ValueLook	look;

	if (end > start + VALUE_ROOM)
		value.end = start + VALUE_ROOM;
	look = LookAt(scan, &value);
	return IsPlaceholder(scan, &value, &look);
}

/* Whether an unquoted word after a colon is prose rather than a password. */
static bool
IsProse(const MaskScan *scan, const Value *value, const ValueLook *look)
{
	unsigned char next = ByteAt(scan, value->end);

	/* host=db password=... dbname=x */
	if (ByteBefore(scan, value->start) == '=' && next == ' ')
		return false;
	/* another word follows that is no name of a field */
	if (scan->text[value->start] >= 0x80 && look->digits == 0 &&
		look->symbols == 0 && next == ' ' &&
		(ByteAt(scan, value->end + 1) >= 0x80 ||
		 IsDigit(ByteAt(scan, value->end + 1))))
		return true;
	return look->digits == 0 && look->symbols == 0 &&
		(next == ' ' || next == ',') && IsAlpha(ByteAt(scan, value->end + 1));
}

/* True for a UUID: the key of a row rather than a secret. */
static bool
IsRowKey(const MaskScan *scan, const Value *value)
{
	return value->end - value->start == 36 && IsUuid(scan->text +value->start);
}

/* True for a long row of letters and digits that is no word or name. */
static bool
IsRandom(const MaskScan *scan, const Value *value, const ValueLook *look)
{
	size_t		row = 0;
	size_t		longest = 0;

	if (value->end - value->start < 16 || look->letters < 3 ||
		(look->digits < 4 && look->turns < 3 &&
		 (look->digits == 0 || look->turns == 0)) || IsRowKey(scan, value))
		return false;
	for (size_t i = value->start; i < value->end; i++)
	{
		row = IsAlnum(scan->text[i]) ? row + 1 : 0;
		longest = row > longest ? row : longest;
	}
	return longest >= 10 &&
		TextEntropy((const char *) scan->text +value->start,
					value->end - value->start) >= 3.0;
}

/* A title or a hint about passwords: "Forgot your password?". */
static bool
IsLabel(const MaskScan *scan, const Value *value, const ValueLook *look)
{
	const unsigned char *text = scan->text +value->start;

	return look->digits == 0 && look->spaces < 3 &&
		(look->spaces > 0 || text[0] >= 0x80) &&
		value->end - value->start < 64 &&
		KindOfKey(text, value->end - value->start) == KEY_PASSWORD;
}

/* True for what a variable may be called, and hardly a password. */
static bool
IsVariable(const unsigned char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (IsUpper(text[i]) || text[i] == '_' || text[i] == '.')
			return true;
	return false;
}

/* True if nothing but blanks is before pos on its line. */
static bool
BeginsLine(const MaskScan *scan, size_t pos)
{
	while (pos > 0 && (scan->text[pos - 1] == ' ' || scan->text[pos - 1] == '\t'))
		pos--;
	return pos > 0 && scan->text[pos - 1] == '\n';
}

/*
 * True for what stands behind the operator in code: the name of a variable
 * that is compared or assigned, the first key of a block, a type.
 */
static bool
IsCode(const MaskScan *scan, const Value *value, const ValueLook *look)
{
	const unsigned char *text = scan->text +value->start;
	size_t		len = value->end - value->start;
	unsigned char next = ByteAt(scan, value->end);

	if (look->digits > 0)
		return false;
	/* YAML: the key of a block on the next line */
	if (next == ':' && IsSpace(ByteAt(scan, value->end + 1)) && value->quote == 0 &&
		BeginsLine(scan, value->start))
		return true;
	for (size_t i = 1; i < len && look->symbols < 3; i++)
		if (text[i] == '[')
			return true;
		else if (!IsAlpha(text[i]) && text[i] != '.' && text[i] != '_')
			break;
	if (next == ':' && IsSpace(ByteAt(scan, value->end + 1)) &&
		ByteAt(scan, value->end + 1) != ' ')
		return true;
	if (look->symbols > 0 || value->start < 4 || text[-1] != ' ')
		return false;
	return (next == ';' && IsVariable(text, len)) || (text[-2] == '=' &&
													  (text[-3] == '=' || text[-3] == '!'));
}

/* Whether the value of a key of that kind is to be masked. */
static bool
IsSecretValue(const MaskScan *scan, KeyKind kind, const Value *value)
{
	const char *text = (const char *) scan->text +value->start;
	size_t		len = value->end - value->start;
	ValueLook	look;
	double		entropy;

	if (len < (kind == KEY_PASSWORD ? 3 : 6))
		return false;
	if (kind != KEY_PASSWORD && value->quote && memchr(text, ' ', len) != NULL)
		return false;			/* prose, at a glance */
	look = LookAt(scan, value);
	if (kind != KEY_PASSWORD && look.digits == 0 && look.symbols == 0 &&
		len != 17 && look.turns < 4)
		return false;			/* words, not worth a closer look */
	if (IsPlaceholder(scan, value, &look))
		return false;
	if (kind == KEY_PASSWORD)
	{
		if (value->quote)
			return !IsLabel(scan, value, &look);
		if (IsCode(scan, value, &look))
			return false;
		if (InSet(ByteAt(scan, value->end), SET_OPENING) &&
			scan->len > value->end)
			return false;		/* a function's call */
		if (look.digits == 0 && look.symbols == 0 &&
			memchr(text, '.', len) != NULL)
			return false;		/* config.password */
		return !IsProse(scan, value, &look);
	}
	if (look.spaces > 0)
		return false;
	entropy = TextEntropy(text, len);
	if (kind == KEY_NAMED)
		return len >= 20 && entropy >= 3.0 && look.digits > 1 &&
			IsRandom(scan, value, &look);
	if (kind == KEY_VENDOR && len == 17 && text[8] == ':' && value->quote)
		return true;			/* Sidekiq: two words of eight digits */
	if (kind == KEY_VENDOR)
		return len >= 14 && look.digits > 0 && entropy >= 3.0 &&
			(memchr(text, '/', len) == NULL || (len == 40 && look.turns > 3));
	if (look.digits > 0)
		return len >= 8 && entropy >= (len < 20 ? 2.3 : 2.6);
	if (value->quote && len >= 12 && look.turns >= 4 && entropy >= 3.0)
		return true;			/* letters in a case that no word has */
	return len >= 8 && entropy >= 3.0 &&
		look.symbols >= (value->quote ? 1 : 4);
}

/* A backslash before a quote inside a JSON string belongs to the quote. */
static size_t
SkipQuote(const MaskScan *scan, size_t pos, char *quote)
{
	size_t		at = pos;

	while (ByteAt(scan, at) == '\\' && at - pos < 3)
		at++;
	if (ByteAt(scan, at) == '"' || ByteAt(scan, at) == '\'' ||
		ByteAt(scan, at) == '`')
	{
		*quote = (char) scan->text[at];
		return at + 1;
	}
	return pos;
}

/* The end of a value in quotes. */
static size_t
QuotedEnd(const MaskScan *scan, const Value *value, size_t limit)
{
	const unsigned char *from = scan->text +value->start;
	size_t		room = limit > value->start ? limit - value->start : 0;
	const unsigned char *quote = memchr(from, value->quote, room);
	const unsigned char *line;
	size_t		end;

	if (quote != NULL)
		room = (size_t) (quote - from);
	line = memchr(from, '\n', room);
	end = value->start + (line != NULL ? (size_t) (line - from) : room);
	if (end > value->start && scan->text[end - 1] == '\\')
		end--;
	return end;
}

/* True for '&' that no other assignment follows: it is of the value. */
static bool
IsInnerAmpersand(const MaskScan *scan, size_t pos)
{
	size_t		at = pos + 1;

	if (scan->text[pos] != '&' || InSet(ByteAt(scan, at), SET_BARE_END) ||
		at >= scan->len)
		return false;
	while (at - pos < 40 && InSet(ByteAt(scan, at), SET_KEY))
		at++;
	return ByteAt(scan, at) != '=' && ByteAt(scan, at) != ';' &&
		ByteAt(scan, at) != '[';
}

/* The end of another; brackets end it if no brace was in it. */
static size_t
BareEnd(const MaskScan *scan, const Value *value, size_t limit)
{
	unsigned	ends = SET_BARE_END | SET_BRACKET;
	size_t		end = value->start;

	for (; end < limit && (!InSet(scan->text[end], ends) ||
						   IsInnerAmpersand(scan, end)); end++)
		if (scan->text[end] == '{')
			ends = SET_BARE_END;
	/* what ends a sentence; behind '=' a password may end so as well */
	while (end > value->start && InSet(scan->text[end - 1], SET_STOP) &&
		   (scan->text[end - 1] != '!' ||
			ByteBefore(scan, value->start) != '='))
		end--;
	return end;
}

/* Reads the value that begins at or after pos. */
static Value
ReadValue(const MaskScan *scan, size_t pos)
{
	Value		value = {0};
	size_t		limit;

	value.start = SkipQuote(scan, pos, &value.quote);
	limit = value.start + VALUE_ROOM < scan->len ?
		value.start + VALUE_ROOM : scan->len;
	value.end = value.quote ? QuotedEnd(scan, &value, limit) :
		BareEnd(scan, &value, limit);
	if (value.end < value.start)
		value.end = value.start;
	CountWork(scan, (value.end - value.start) * WORK_VALUE_BYTE);
	return value;
}

/*
 * The end of a value that is longer than was looked at: its quote, if that
 * comes soon, or what ends a value without quotes.
 */
static size_t
LongEnd(const MaskScan *scan, const Value *value)
{
	size_t		end = value->end;
	size_t		limit = scan->len - end < 4096 ? scan->len : end + 4096;

	while (value->quote && end < limit && scan->text[end] != '\n' &&
		   scan->text[end] != (unsigned char) value->quote)
		end++;
	if (value->quote && ByteAt(scan, end) == (unsigned char) value->quote)
		return end;
	end = value->end;
	while (end < scan->len && !InSet(scan->text[end], SET_BARE_END))
		end++;
	return end;
}

/* Reports a value if it is a secret; a key with a prefix by its own name. */
static bool
OfferValue(MaskScan *scan, KeyKind kind, Value value)
{
	MaskHit		hit = {0};

	if (value.end <= value.start)
		return false;
	CountWork(scan, WORK_STEP);
	if (!IsSecretValue(scan, kind, &value))
	{
		if (value.end - value.start > 64)
			scan->sign_done = value.end;
		return false;
	}
	if (OfferWord(scan, value.start) && scan->done >= value.end)
		return true;
	hit.entity = kind == KEY_PASSWORD ? MASK_PASSWORD :
		kind == KEY_AUTHORIZATION ? MASK_AUTHORIZATION : MASK_SECRET;
	hit.start = value.start;
	hit.end = value.end;
	/* what is longer than was looked at */
	if (value.end - value.start == VALUE_ROOM)
		hit.end = LongEnd(scan, &value);
	hit.score = kind == KEY_VENDOR ? 0.6f : 0.8f;
	hit.validator = "key";
	MaskAddHit(scan, &hit);
	return true;
}

/* ---------------- finding the two sides ---------------- */

static bool
IsOperator(unsigned char c)
{
	return InSet(c, SET_OPERATOR);
}

/*
 * The key that ends before the operator at pos: its start and end.  False
 * if the operator began earlier (then this was looked at there).
 */
static bool
FindKey(const MaskScan *scan, size_t pos, size_t *start, size_t *end)
{
	size_t		at = pos;
	size_t		low = pos > KEY_ROOM ? pos - KEY_ROOM : 0;

	while (at > low && IsOperator(scan->text[at - 1]))
	{
		if (scan->text[at - 1] == '=' || scan->text[at - 1] == ':')
			return false;
		at--;
	}
	while (at > low && (scan->text[at - 1] == ' ' ||
						scan->text[at - 1] == '\t'))
		at--;
	while (at > low && InSet(scan->text[at - 1], SET_QUOTE))
		at--;
	*end = at;
	while (at > low && InSet(scan->text[at - 1], SET_KEY))
		at--;
	*start = at;
	return *end > *start;
}

/* "var apiToken string =", "apiToken: string =": the name is before a type. */
static void
SkipTypeName(const MaskScan *scan, size_t *start, size_t *end)
{
	size_t		at = *start;
	size_t		low = at > KEY_ROOM ? at - KEY_ROOM : 0;

	if (*end - *start != 6 || FoldMatch(scan->text, *end, *start, "string", 6)
		== 0)
		return;
	while (at > low && scan->text[at - 1] == ' ')
		at--;
	if (at > low && scan->text[at - 1] == ':')
		at--;
	if (at == *start)
		return;
	*end = at;
	while (at > low && InSet(scan->text[at - 1], SET_KEY))
		at--;
	*start = at;
}

/* Where the value begins after the operator at pos. */
static size_t
ValueStart(const MaskScan *scan, size_t pos)
{
	size_t		at = pos + 1;
	size_t		block;

	while (at - pos < 5 && InSet(ByteAt(scan, at), SET_ARROW))
		at++;
	while (at - pos < 24 && IsSpace(ByteAt(scan, at)))
		at++;
	/* **Password:** value */
	if (ByteAt(scan, at) == '*' && ByteAt(scan, at + 1) == '*' &&
		ByteAt(scan, at + 2) == ' ')
		return at + 3;
	/* YAML: the value is on the next line */
	block = at + 1;
	if (ByteAt(scan, at) != '|' && ByteAt(scan, at) != '>')
		return at;
	if (ByteAt(scan, block) == '-' || ByteAt(scan, block) == '+')
		block++;
	if (ByteAt(scan, block) != '\n')
		return at;
	while (block - at < 24 && IsSpace(ByteAt(scan, block)))
		block++;
	return block;
}

/* Passes over a word that may be a scheme, before what may be a token. */
static size_t
OtherScheme(const MaskScan *scan, size_t pos)
{
	size_t		at = pos;
	size_t		end;

	while (at - pos < 20 && IsAlpha(ByteAt(scan, at)))
		at++;
	if (at - pos < 3 || (ByteAt(scan, at) != ' ' && ByteAt(scan, at) != '='))
		return pos;
	for (end = at + 1; end - at < 16 && (InSet(ByteAt(scan, end), SET_NAME) ||
										 ByteAt(scan, end) == '.');)
		end++;
	return end - at < 16 ? pos : at + 1;
}

/* Passes over "Bearer " and the like in the value of an Authorization. */
static size_t
SkipScheme(const MaskScan *scan, size_t pos)
{
	static const char *const schemes[] =
	{"bearer ", "basic ", "token ", "apikey ", "digest ", "negotiate ", "ssws "};

	for (int i = 0; i < 7; i++)
	{
		size_t		n;

		if ((ByteAt(scan, pos) | 0x20) != (unsigned char) schemes[i][0])
			continue;
		n = FoldMatch(scan->text, scan->len, pos, schemes[i],
					  strlen(schemes[i]) - 1);
		if (n > 0 && ByteAt(scan, pos + n) == ' ')
		{
			while (ByteAt(scan, pos + n) == ' ' && n < 16)
				n++;
			return pos + n;
		}
	}
	return OtherScheme(scan, pos);
}

/* True for the second of two words that are "password" in Kazakh. */
static bool
IsSecretWord(const MaskScan *scan, size_t start, size_t end)
{
	size_t		len = strlen(LEX_SECRET_WORD);

	return start > len && scan->text[start - 1] == ' ' &&
		FoldMatch(scan->text, end, start, LEX_WORD, strlen(LEX_WORD)) > 0 &&
		FoldMatch(scan->text, start, start - 1 - len, LEX_SECRET_WORD, len) > 0;
}

/* True if words without a digit go from pos to a brace. */
static bool
IsMessage(const MaskScan *scan, size_t pos)
{
	while (IsAlpha(ByteAt(scan, pos)) || ByteAt(scan, pos) == ' ' ||
		   ByteAt(scan, pos) == '_')
		pos++;
	return ByteAt(scan, pos) == '}';
}

/*
 * True for what looks like an assignment at pos, and is none: a part of a
 * model's name (ft:open-mistral-7b:587a6b29:...), what a shell says if a
 * variable is not set (${NAME:?message}), and what a model signs its thoughts
 * with.
 */
static bool
IsNoAssignment(const MaskScan *scan, KeyKind kind, size_t start, size_t pos)
{
	static const char delta[] = "signature_delta\"";
	size_t		from = start > 24 ? start - 24 : 0;

	if (kind == KEY_VENDOR)
		return scan->text[pos] == ':' && ByteBefore(scan, start) == ':' &&
			start > 1 && IsAlnum(scan->text[start - 2]) &&
			IsAlnum(ByteAt(scan, pos + 1));
	if (ByteAt(scan, pos + 1) == '?')
		return start > 1 && memcmp(scan->text +start - 2, "${", 2) == 0 &&
			IsMessage(scan, pos + 2);
	if (kind != KEY_SECRET ||
		FoldMatch(scan->text, pos, start, "signature", 9) == 0)
		return false;
	for (; from + sizeof(delta) - 1 <= start; from++)
		if (memcmp(scan->text +from, delta, sizeof(delta) - 1) == 0)
			return true;
	return false;
}

/* SECRET, PASSWORD, AUTHORIZATION: an assignment at its '=' or ':'. */
bool
DetectAssignment(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start;
	size_t		end;
	size_t		at;
	KeyKind		kind;
	Value		value;
	char		quote = 0;

	(void) self;
	if (pos < scan->sign_done || !FindKey(scan, pos, &start, &end))
		return false;
	SkipTypeName(scan, &start, &end);
	kind = KindOfKeyAt(scan, start, end);
	if (kind == KEY_PLAIN && scan->text[start] >= 0x80 &&
		IsSecretWord(scan, start, end))
		kind = KEY_PASSWORD;
	if (kind == KEY_PLAIN || IsNoAssignment(scan, kind, start, pos))
		return false;
	CountWork(scan, WORK_STEP);
	at = ValueStart(scan, pos);
	if (kind == KEY_AUTHORIZATION)
	{
		size_t		inner = SkipQuote(scan, at, &quote);

		at = SkipScheme(scan, inner);
		if (at == inner)
			at = quote ? inner - 1 : inner;
	}
	value = ReadValue(scan, at);
	/* netlify's own key begins with '=' */
	if (kind == KEY_VENDOR && scan->text[pos] == ':' && !value.quote &&
		end < pos && scan->text[pos - 1] != '"' && value.start == pos + 1 &&
		IsDigit(ByteAt(scan, pos + 1)))
		return false;
	return OfferValue(scan, kind, value);
}

/*
 * The end of the letters, digits, '_' and '-' of a key's name, at most 40
 * bytes on.  What was read of the same name before is not read again.
 */
static size_t
NameTail(MaskScan *scan, size_t pos)
{
	size_t		limit = pos + 40 < scan->len ? pos + 40 : scan->len;
	size_t		at = pos;

	if (pos >= scan->tail_start && pos <= scan->tail_end)
		at = scan->tail_end < limit ? scan->tail_end : limit;
	else
		scan->tail_start = pos;
	while (at < limit && InSet(scan->text[at], SET_NAME))
		at++;
	if (scan->tail_end < at || scan->tail_start == pos)
		scan->tail_end = at;
	return at;
}

/* The same to the left: where the ASCII of a name begins that goes to pos. */
static size_t
NameStart(MaskScan *scan, size_t pos)
{
	size_t		low = pos > 40 ? pos - 40 : 0;
	size_t		at = pos;

	while (at > low && at != scan->head_end && scan->text[at - 1] < 0x80 &&
		   InSet(scan->text[at - 1], SET_NAME))
		at--;
	if (at == scan->head_end && at > low)
		at = scan->head_start > low ? scan->head_start : low;
	scan->head_start = at;
	scan->head_end = pos;
	return at;
}

/* How a value follows the name of a key without '=' or ':'. */
typedef enum LooseForm
{
	LOOSE_NONE = 0,
	LOOSE_QUOTED,				/* put("token", "...") */
	LOOSE_ELEMENT,				/* <token>...</token> */
	LOOSE_SPOKEN,				/* my token is ... */
	LOOSE_FLAG,					/* --token ... */
	LOOSE_BARE,					/* password ... */
	LOOSE_COLUMN				/* token,..., */
} LooseForm;

/* Passes over white space, at most to limit. */
static size_t
SkipWhite(const MaskScan *scan, size_t at, size_t limit)
{
	while (at < limit && IsSpace(ByteAt(scan, at)))
		at++;
	return at;
}

/* After a quoted name: a comma, " value=", or a member "value" of JSON. */
static size_t
QuotedValue(const MaskScan *scan, size_t at)
{
	static const char *const members[] = {"\"value\"", "'value'", "value"};
	size_t		limit = at + 60;

	if (ByteAt(scan, at) == ',')
	{
		at = SkipWhite(scan, at + 1, limit);
		for (int i = 0; i < 3; i++)
		{
			size_t		n = FoldMatch(scan->text, scan->len, at, members[i],
									  strlen(members[i]));
			size_t		colon = SkipWhite(scan, at + n, limit);

			if (n > 0 && (ByteAt(scan, colon) == ':' ||
						  ByteAt(scan, colon) == '='))
				return SkipWhite(scan, colon + 1, limit);
		}
		return at;
	}
	if (at + 7 < scan->len && memcmp(scan->text +at, " value=", 7) == 0)
		return at + 7;
	return SkipWhite(scan, at, limit);
}

/*
 * Passes over what a password is for, "for the router", "of my account", up
 * to the "is" behind that; at itself if it is not so.
 */
static size_t
ObjectEnd(const MaskScan *scan, size_t at)
{
	size_t		end = at;

	if (FoldMatch(scan->text, scan->len, at, "for ", 4) == 0 &&
		FoldMatch(scan->text, scan->len, at, "of ", 3) == 0)
		return at;
	while (end - at < 40 && (IsAlnum(ByteAt(scan, end)) ||
							 ByteAt(scan, end) == ' ' ||
							 ByteAt(scan, end) == '-'))
	{
		unsigned char next = ByteAt(scan, end + 1) | 0x20;

		if (scan->text[end] == ' ' && (next == 'i' || next == 'w') &&
			(FoldMatch(scan->text, scan->len, end + 1, "is ", 3) > 0 ||
			 FoldMatch(scan->text, scan->len, end + 1, "was ", 4) > 0))
			return end + 1;
		end++;
	}
	CountWork(scan, (end - at) * WORK_VALUE_BYTE);
	return at;
}

/* After a name in prose: "is", "was", a dash or the like; 0 if none. */
static size_t
SpokenValue(const MaskScan *scan, size_t at)
{
	static const char *const links[] = {
		"is ", "was ", "will be ", "to ", "- ", "--", "= ", LEX_IS
	};
	size_t		limit = at + 24;

	at = SkipWhite(scan, at, limit);
	if (ByteAt(scan, at) == 'f' || ByteAt(scan, at) == 'o')
		at = ObjectEnd(scan, at);
	if (ByteAt(scan, at) == 0 ||
		strchr("iIwWtT-=\xD1\xD0", ByteAt(scan, at)) == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
	{
		unsigned char first = ByteAt(scan, at);
		size_t		len;
		size_t		n;

		if (first < 0x80 && (unsigned char) links[i][0] !=
			(IsUpper(first) ? first | 0x20 : first))
			continue;
		len = strlen(links[i]);
		n = FoldMatch(scan->text, scan->len, at, links[i], len);
		if (n > 0 && IsSpace(ByteAt(scan, at + n - 1)))
		{
			at = SkipWhite(scan, at + n, limit);
			return ByteAt(scan, at) == ':' ? SkipWhite(scan, at + 1, limit) : at;
		}
	}
	return 0;
}

/*
 * The value after a key's word that no '=' or ':' follows, and how it
 * follows.
 */
static LooseForm
LooseValue(MaskScan *scan, size_t pos, size_t *value)
{
	size_t		name_end = NameTail(scan, pos);
	size_t		at = name_end;
	unsigned char c = ByteAt(scan, at);

	if (!InSet(c, SET_AFTER_NAME))
		return LOOSE_NONE;
	if (c == '(')
	{
		/* setPassword("...") */
		size_t		start = NameStart(scan, scan->word_start);

		*value = at + 1;
		return start + 3 <= scan->word_start &&
			FoldMatch(scan->text, scan->word_start, start, "set", 3) > 0 &&
			(ByteAt(scan, at + 1) == '"' || ByteAt(scan, at + 1) == '\'') ?
			LOOSE_QUOTED : LOOSE_NONE;
	}
	if (c == '"' || c == '\'')
	{
		*value = QuotedValue(scan, at + 1);
		c = ByteAt(scan, *value);
		return c == '"' || c == '\'' ? LOOSE_QUOTED : LOOSE_NONE;
	}
	if (c == '>')
	{
		*value = SkipWhite(scan, at + 1, at + 60);
		return LOOSE_ELEMENT;
	}
	if (c == '.')
	{
		while (at - name_end < 60 && (IsAlnum(ByteAt(scan, at)) ||
									  ByteAt(scan, at) == '.'))
			at++;
		*value = SkipWhite(scan, at + 1, at + 40);
		return ByteAt(scan, at) == '(' &&
			(ByteAt(scan, *value) == '"' || ByteAt(scan, *value) == '\'') ?
			LOOSE_QUOTED : LOOSE_NONE;
	}
	if (c == ',' && IsAlnum(ByteAt(scan, at + 1)))
	{
		*value = at + 1;
		return LOOSE_COLUMN;
	}
	if (c == ',')
		return LOOSE_NONE;
	*value = SkipWhite(scan, at, at + 40);
	c = ByteAt(scan, *value);
	if (c == '|')
	{
		*value = SkipWhite(scan, *value + 1, at + 40);
		return LOOSE_COLUMN;
	}
	if (c == '"' || c == '\'')
		return LOOSE_QUOTED;
	if (c != '-')
	{
		size_t		start = NameStart(scan, scan->word_start);

		if (start + 2 < pos && memcmp(scan->text +start, "--", 2) == 0)
			return LOOSE_FLAG;
	}
	at = SpokenValue(scan, name_end);
	if (at == 0)
		return LOOSE_BARE;
	*value = at;
	return LOOSE_SPOKEN;
}

/* What follows "password" in texts about passwords: SHA256, 12-character. */
static bool
IsTechnicalWord(const MaskScan *scan, const Value *value)
{
	static const char *const words[] = {
		"sha", "md5", "base", "utf", "aes", "pbkdf", "argon", "bcrypt",
		"scrypt", "hmac", "oauth", "http", "https", "v1", "v2", "rfc", "iso",
		"nist"
	};
	size_t		len = value->end - value->start;

	/* 12-character, 8 chars, but not 255ISTQka4U */
	if (IsDigit(scan->text[value->start]) && len < 16)
	{
		for (size_t i = value->start; i < value->end; i++)
			if (IsUpper(scan->text[i]))
				return false;
		return true;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
	{
		size_t		n;

		if ((scan->text[value->start] | 0x20) !=(unsigned char) words[i][0])
			continue;
		n = FoldMatch(scan->text, value->end, value->start, words[i],
					  strlen(words[i]));
		/* SHA256 and Base64, but no word that begins so */
		if (n > 0 && len < 16 &&
			(value->start + n == value->end ||
			 !IsAlpha(scan->text[value->start + n])))
			return words[i][0] != 'v' || len < 5;
	}
	return false;
}

/* True if a value begins with a word and '=': prompt=1234. */
static bool
IsNameBefore(const MaskScan *scan, const Value *value)
{
	size_t		at = value->start;

	while (at < value->end && (IsAlpha(scan->text[at]) || scan->text[at] == '_'))
		at++;
	return at > value->start && at < value->end && scan->text[at] == '=';
}

/*
 * Reads the value at pos, for other detectors: its bounds, and whether it
 * looks so much like a secret.
 */
bool
SecretAt(MaskScan *scan, size_t pos, SecretLook how, size_t *start,
		 size_t *end)
{
	ValueMemo  *memo = &scan->value_memo;
	Value		value;
	size_t		len;
	ValueLook	look;

	if (memo->pos != pos)
	{
		memo->pos = pos;
		memo->value = value = ReadValue(scan, pos);
		/* what has a blank is looked at no further */
		memo->look.spaces = 1;
		if (!value.quote || memchr(scan->text +value.start, ' ',
								   value.end - value.start) == NULL)
			memo->look = LookAt(scan, &value);
	}
	value = memo->value;
	look = memo->look;
	len = value.end - value.start;
	*start = value.start;
	*end = value.end;
	if (len < (how == LOOKS_NAMED ? 3 : 6))
		return false;
	if (look.spaces > 0 || IsPlaceholder(scan, &value, &look))
		return false;
	if (how == LOOKS_NAMED)
		return look.digits > 0 ||
			KindOfKey(scan->text +*start, len) != KEY_PASSWORD;
	/* another assignment */
	if (!value.quote && memchr(scan->text +*start, '=', len - 1) != NULL &&
		IsNameBefore(scan, &value))
		return false;
	if (how == LOOKS_RANDOM)
		return IsRandom(scan, &value, &look);
	if (look.digits == 0 || look.letters < 2 || IsTechnicalWord(scan, &value))
		return false;
	if (IsRowKey(scan, &value))
		return false;
	return how == LOOKS_LIKELY ||
		(len >= 8 && (look.turns > 0 || look.symbols > 0 ||
					  (len >= 12 && look.digits > 3)));
}

/*
 * Whether a value without quotes is one: an element has its end, and what is
 * spoken or stands in a column has to look more like a secret than a word.
 */
static bool
LooseFits(const MaskScan *scan, LooseForm form, KeyKind kind,
		  const Value *value)
{
	size_t		after = value->end;
	size_t		len = value->end - value->start;
	ValueLook	look;

	if (form == LOOSE_ELEMENT && value->end > value->start)
	{
		/* <PASSWORD> alone is our own form */
		after += value->quote != 0;
		after = SkipWhite(scan, after, after + 40);
		return ByteAt(scan, after) == '<' && ByteAt(scan, after + 1) == '/';
	}
	if (value->quote)
		return true;
	if (form == LOOSE_QUOTED || value->end <= value->start)
		return false;
	if (form == LOOSE_FLAG && kind > KEY_VENDOR)
		return kind == KEY_PASSWORD || len >= 12;
	look = LookAt(scan, value);
	if (kind == KEY_PASSWORD && form == LOOSE_SPOKEN)
		return len >= 6 && (look.digits > 0 || look.symbols > 0);
	if (kind == KEY_PASSWORD && (form == LOOSE_BARE || form == LOOSE_COLUMN))
		return len >= 7 && look.digits > 0 && look.letters > 2 &&
			!IsTechnicalWord(scan, value);
	if (form == LOOSE_BARE)
		return false;
	if (kind > KEY_VENDOR && form == LOOSE_SPOKEN && len >= 8 &&
		look.digits > 0 && (look.turns > 0 || look.symbols > 0) &&
		!IsTechnicalWord(scan, value))
		return true;
	return len >= 16 && look.digits > 1 && !IsRowKey(scan, value) &&
		TextEntropy((const char *) scan->text +value->start, len) >= 3.0;
}

/* True if a value holds a digit and is as long as a password. */
static bool
HasDigit(const MaskScan *scan, const Value *value)
{
	if (value->end < value->start + 6)
		return false;
	for (size_t i = value->start; i < value->end; i++)
		if (IsDigit(scan->text[i]))
			return true;
	return false;
}

/*
 * setProperty("X_TOKEN", "..."), <token>..., key="Password" value="...",
 * {"name": "x_token", "value": "..."}, --token ..., my password is ...
 */
bool
DetectLooseAssignment(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start;
	size_t		tail;
	size_t		at = 0;
	LooseForm	form;
	KeyKind		kind;
	Value		value;

	(void) self;
	form = LooseValue(scan, pos, &at);
	/* "pass" alone is a verb; "pass is", DB_PASS and .pass are names */
	if (pos - scan->word_start == 4 && form != LOOSE_SPOKEN &&
		form != LOOSE_FLAG && form != LOOSE_ELEMENT &&
		ByteBefore(scan, scan->word_start) != '_' &&
		ByteBefore(scan, scan->word_start) != '.')
		return false;
	tail = NameTail(scan, pos);
	if (form == LOOSE_NONE && tail - pos >= NAME_ROOM)
		return false;			/* no name goes on so far */
	start = NameStart(scan, scan->word_start);
	kind = KindOfKeyAt(scan, start, tail);
	if (kind == KEY_PLAIN && scan->text[scan->word_start] >= 0x80 &&
		FoldMatch(scan->text, pos, scan->word_start, LEX_SECRET_WORD,
				  strlen(LEX_SECRET_WORD)) > 0)
		kind = KEY_PASSWORD;
	if (kind < KEY_VENDOR)
		return false;
	if (form == LOOSE_NONE || at < scan->sign_done || at >= scan->len)
		return OfferSpoken(scan, pos, kind);
	value = ReadValue(scan, at);
	if ((form != LOOSE_BARE || HasDigit(scan, &value)) &&
		(kind != KEY_VENDOR || form == LOOSE_FLAG || form == LOOSE_SPOKEN) &&
		LooseFits(scan, form, kind, &value))
	{
		/* what it is for may hold findings of its own */
		if (form == LOOSE_SPOKEN && at > tail + NEAR_VALUE)
		{
			if (IsSecretValue(scan, kind, &value) &&
				NoteDue(scan, kind, value.start, value.end))
				return false;
		}
		else if (OfferValue(scan, kind, value))
			return true;
	}
	return OfferSpoken(scan, pos, kind);
}
