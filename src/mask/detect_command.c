/*
 * detect_command.c
 *	  Passwords that are given to commands: mysql -u root -pX, sshpass -p X,
 *	  curl -u user:X, htpasswd -b file user X, echo X | sudo -S.
 *
 * What an option means depends on the command, which can be far before it: so
 * the event of a command's name looks for the value, and leaves a note where
 * it begins ("due"), since what stands between has events of its own.  Each
 * note that comes due looks for the next value of the same command.
 *
 * Reading ends at the next command, so that no text is read twice.
 */
#include "mask/scan.h"

#include <string.h>

#define LINE_ROOM 400			/* of a command, behind its name */
#define VALUE_BEHIND 256		/* of an argument that begins within that */
#define PIPE_ROOM 100			/* between what echo says and who reads it */

/*
 * Commands, and where they take a password: words separated by spaces, of
 * which the first character is the form and the rest the option.
 *
 *	=	behind it or in the next argument: -p X, -p=X
 *	+	right behind it: -pX
 *	*	both
 *	:	the same as '=', and it is user:password; ',' and '%' likewise
 *	#	an argument without option, by its number; a name that follows has to
 *		be the first of them
 *	/	the first of those, which is user/password@host
 *	|	the first of those, if a program that wants a password reads it
 *
 * A name that begins with '!' is a command that has to be "login".
 */
static const struct Command
{
	const char *name;
	const char *values;
}			commands[] =

{
	{"arangosh", "=--server.password"},
	{"az", "!=-p"},
	{"bcp", "=-P"},
	{"buildah", "!=-p"},
	{"cargo", "#2login"},
	{"cqlsh", "=-p"},
	{"crackmapexec", "=-p"},
	{"crane", "!=-p"},
	{"curl", ":-u :--user :-U :--proxy-user =--oauth2-bearer =--pass"},
	{"cypher-shell", "=-p"},
	{"docker", "!=-p"},
	{"echo", "|"},
	{"etcdctl", ":--user"},
	{"evil-winrm", "=-p"},
	{"expdp", "/"},
	{"flyctl", "=-t"},
	{"helm", "!=-p"},
	{"htpasswd", "#3"},
	{"hydra", "=-p"},
	{"impdp", "/"},
	{"influx", "=-password =-p =--token"},
	{"ipmitool", "=-P"},
	{"jarsigner", "=-storepass =-keypass"},
	{"keytool", "=-storepass =-keypass =-srcstorepass =-srckeypass"
	" =-deststorepass =-destkeypass =-new"},
	{"ldapadd", "=-w"},
	{"ldapdelete", "=-w"},
	{"ldapmodify", "=-w"},
	{"ldappasswd", "=-w =-s =-a"},
	{"ldapsearch", "=-w"},
	{"ldapwhoami", "=-w"},
	{"lftp", ",-u"},
	{"mariadb", "+-p"},
	{"mariadb-dump", "+-p"},
	{"mongo", "=-p"},
	{"mongodump", "=-p"},
	{"mongoexport", "=-p"},
	{"mongoimport", "=-p"},
	{"mongorestore", "=-p"},
	{"mongosh", "=-p"},
	{"mosquitto_pub", "=-P"},
	{"mosquitto_sub", "=-P"},
	{"mysql", "+-p"},
	{"mysqladmin", "+-p"},
	{"mysqlbinlog", "+-p"},
	{"mysqlcheck", "+-p"},
	{"mysqldump", "+-p"},
	{"mysqlimport", "+-p"},
	{"mysqlsh", "+-p"},
	{"mysqlshow", "+-p"},
	{"ncftpget", "=-p"},
	{"ncftpput", "=-p"},
	{"nerdctl", "!=-p"},
	{"net", "#3user"},
	{"netexec", "=-p"},
	{"nxc", "=-p"},
	{"oc", "!=-p"},
	{"openssl", "=-k =-passin =-passout =-pass =-password"},
	{"oras", "!=-p"},
	{"plink", "=-pw"},
	{"podman", "!=-p"},
	{"pscp", "=-pw"},
	{"psexec", "=-p"},
	{"psftp", "=-pw"},
	{"putty", "=-pw"},
	{"rabbitmqctl", "#3add_user #3change_password"},
	{"rar", "+-hp +-p"},
	{"rclone", "#2obscure"},
	{"rdesktop", "=-p"},
	{"redis-benchmark", "=-a"},
	{"redis-cli", "=-a =--pass"},
	{"rpcclient", "%-U"},
	{"skopeo", "!=-p"},
	{"smbclient", "%-U %--user"},
	{"smbmap", "=-p"},
	{"snmpget", "=-A =-X"},
	{"snmpwalk", "=-A =-X"},
	{"sqlcmd", "=-P"},
	{"sqlldr", "/"},
	{"sqlplus", "/"},
	{"sshpass", "*-p"},
	{"ssh-keygen", "=-N =-P"},
	{"tctl", "=--token"},
	{"tsql", "=-P"},
	{"twine", "=-p"},
	{"unrar", "+-p"},
	{"unzip", "=-P"},
	{"useradd", "=-p"},
	{"usermod", "=-p"},
	{"vault", "#2login"},
	{"wfreerdp", "+/p:"},
	{"wpa_passphrase", "#2"},
	{"xfreerdp", "+/p:"},
	{"zip", "=-P"},
};

#define COMMANDS ((int) (sizeof(commands) / sizeof(commands[0])))

#define NO_COMMAND UINT8_MAX
#define JWK_MEMBERS (UINT8_MAX - 1) /* and it goes on in NoteJwk() */

/* By first letter, the first command in the list and one, 0 if none is. */
static uint8_t first_command[256];
static uint8_t command_len[COMMANDS];

/* Whether a command takes more than what follows an option. */
static bool command_takes_all[COMMANDS];

/* Sets of characters, by bit. */
#define ARG_END 1				/* of an argument */
#define ARG_ODD 2				/* quotes, backslashes, commas */
#define ARG_BEHIND 4			/* a quote that closes */
static uint8_t arg_chars[256];

/* One argument of a command, quotes and all. */
typedef struct Argument
{
	size_t		start;
	size_t		end;
} Argument;

/* Fills the index, once per process. */
static void
PrepareCommands(void)
{
	for (int i = COMMANDS - 1; i >= 0; i--)
	{
		const char *form = commands[i].values;

		first_command[(unsigned char) commands[i].name[0]] = (uint8_t) (i + 1);
		command_len[i] = (uint8_t) strlen(commands[i].name);
		/* all of an option's forms are one sign, and a dash */
		for (; *form; form += strcspn(form, " "), form += *form == ' ')
			command_takes_all[i] |= form[1] != '-';
	}
	for (int c = 0; c < 256; c++)
		arg_chars[c] = (uint8_t)
			((c > 0 && strchr(" \t\r\n|;&)`<>", c) ? ARG_END : 0) |
			 (c > 0 && strchr("\"'\\,", c) ? ARG_ODD : 0) |
			 (c == 0 || strchr(" \t\r\n,;)]}.|:<>!?&", c) ? ARG_BEHIND : 0));
}

/* The command of this name, in small letters or capitals; -1 if it is none. */
static int
CommandNamed(const MaskScan *scan, size_t start, size_t end)
{
	unsigned char first = ByteAt(scan, start) | 0x20;

	for (int i = first_command[first] - 1;
		 i >= 0 && i < COMMANDS && commands[i].name[0] == (char) first; i++)
		if (command_len[i] == end - start &&
			FoldMatch(scan->text, end, start, commands[i].name,
					  command_len[i]) > 0)
			return i;
	return -1;
}

/* Passes over a quoted part that begins at pos; pos if it does not end. */
static size_t
QuotedPart(const MaskScan *scan, size_t pos, size_t limit)
{
	const unsigned char *from = scan->text +pos + 1;
	const unsigned char *quote = memchr(from, scan->text[pos], limit - pos - 1);

	if (quote == NULL || memchr(from, '\n', (size_t) (quote - from)) != NULL)
		return pos;
	return (size_t) (quote - scan->text) +1;
}

/*
 * True for a quote that ends what the whole command stands in: bash -c
 * "mysql -pX".  One that begins a part of an argument has that behind it.
 */
static bool
IsClosingQuote(const MaskScan *scan, size_t pos)
{
	unsigned char c = scan->text[pos];

	return (c == '"' || c == '\'') &&
		(arg_chars[ByteAt(scan, pos + 1)] & ARG_BEHIND);
}

/*
 * Reads the next argument before the end of the command; arguments may also
 * be the elements of a list, ["mysql", "-pX"].
 */
static bool
NextArgument(const MaskScan *scan, size_t *pos, size_t limit, Argument *arg)
{
	size_t		at = *pos;

	for (; at < limit; at++)
	{
		unsigned char c = scan->text[at];

		if (c == '\\' && (ByteAt(scan, at + 1) == '\n' ||
						  ByteAt(scan, at + 1) == '\r'))
			at++;
		else if (c != ' ' && c != '\t' && c != ',')
			break;
	}
	arg->start = arg->end = *pos = at;
	if (at >= limit)
		return false;
	/* what begins before may end behind */
	limit = scan->len - limit > VALUE_BEHIND ? limit + VALUE_BEHIND : scan->len;
	while (at < limit && !(arg_chars[scan->text[at]] & ARG_END))
	{
		size_t		end = at;

		if (!(arg_chars[scan->text[at]] & ARG_ODD))
		{
			at++;
			continue;
		}
		if (IsClosingQuote(scan, at))
			break;
		if (scan->text[at] == '"' || scan->text[at] == '\'')
			end = QuotedPart(scan, at, limit);
		else if (scan->text[at] == '\\')
			end = at + 1 < limit ? at + 2 : at;
		else if (scan->text[at] == ',' && scan->text[at - 1] == '"')
			break;				/* of a list */
		at = end > at ? end : at + 1;
	}
	arg->end = at < limit ? at : limit;
	CountWork(scan, arg->end - *pos + WORK_DETECTOR / 2);
	*pos = arg->end;
	return arg->end > arg->start;
}

/* Takes the quotes off an argument. */
static void
Unquote(const MaskScan *scan, Argument *arg)
{
	unsigned char c = ByteAt(scan, arg->start);

	if (c != '"' && c != '\'')
		return;
	arg->start++;
	if (arg->end > arg->start && scan->text[arg->end - 1] == c)
		arg->end--;
}

/* The command that an argument names, perhaps by its path; -1 if none. */
static int
CommandOf(const MaskScan *scan, Argument arg)
{
	size_t		start;

	Unquote(scan, &arg);
	for (start = arg.end; start > arg.start && arg.end - start < 16 &&
		 scan->text[start - 1] != '/'; start--)
		;
	return CommandNamed(scan, start, arg.end);
}

/* True if a value is none: a variable, a port, another option. */
static bool
IsNoPassword(const MaskScan *scan, const Argument *value)
{
	size_t		len = value->end - value->start;

	if (value->end < value->start + 2 || scan->text[value->start] == '-')
		return true;
	for (size_t i = value->start; i < value->end; i++)
		if (!IsDigit(scan->text[i]) && scan->text[i] != ':' &&
			scan->text[i] != '.')
			return StandsForSecret(scan, value->start, value->end);
	return len < 4 || memchr(scan->text +value->start, ':', len) != NULL;
}

/* An argument without option has to look like a password. */
static bool
IsLikely(const MaskScan *scan, const Argument *value)
{
	if (value->end - value->start < 6 || IsNoPassword(scan, value))
		return false;
	for (size_t i = value->start; i < value->end; i++)
		if (IsDigit(scan->text[i]))
			return true;
	return false;
}

/* The password within a value of two parts; false if there is none. */
static bool
SecondPart(const MaskScan *scan, char sign, Argument *value)
{
	const unsigned char *from = scan->text +value->start;
	size_t		len = value->end - value->start;
	const unsigned char *at = memchr(from, sign, len);
	Argument	second = *value;

	if (at == NULL)
		return false;
	second.start = (size_t) (at - scan->text) +1;
	Unquote(scan, &second);
	if (second.end <= second.start)
	{
		/* a key in place of the user */
		value->end = (size_t) (at - scan->text);
		return IsLikely(scan, value);
	}
	if (second.end < second.start + 2 ||
		StandsForSecret(scan, value->start, value->end) ||
		StandsForSecret(scan, second.start, second.end))
		return false;
	/* test:test */
	return second.end - second.start != (size_t) (at - from) ||
		memcmp(from, scan->text +second.start, (size_t) (at - from)) != 0;
}

/* Cuts user/password@host to the password; false if it is not that. */
static bool
SlashPart(const MaskScan *scan, Argument *value)
{
	const unsigned char *from = scan->text +value->start;
	size_t		len = value->end - value->start;
	const unsigned char *at = memchr(from, '/', len);
	const unsigned char *end;

	if (at == NULL || at == from)
		return false;
	value->start = (size_t) (at - scan->text) +1;
	end = memchr(at, '@', value->end - value->start + 1);
	if (end != NULL)
		value->end = (size_t) (end - scan->text);
	return !IsNoPassword(scan, value);
}

/* Whether a program that wants a password reads what echo says. */
static bool
IsPipedToReader(const MaskScan *scan, size_t at)
{
	static const char *const readers[] =
	{"sudo -S", "chpasswd", "-stdin", "smbpasswd", "cryptsetup", "kinit"};
	size_t		limit = at + PIPE_ROOM < scan->len ? at + PIPE_ROOM : scan->len;

	while (at < limit && strchr(" \"'", scan->text[at]) != NULL)
		at++;
	if (ByteAt(scan, at) != '|')
		return false;
	for (; at < limit && scan->text[at] != '\n'; at++)
		for (int i = 0; i < 6; i++)
		{
			size_t		len = strlen(readers[i]);

			if (scan->text[at] == (unsigned char) readers[i][0] &&
				limit - at >= len &&
				memcmp(scan->text +at, readers[i], len) == 0)
				return true;
		}
	return false;
}

/* What a walk over a command's arguments knows. */
typedef struct Walk
{
	int			command;
	size_t		at;
	size_t		limit;
	int			plain;			/* arguments without option so far */
	Argument	first;			/* and the first of them */
	bool		login;
} Walk;

/* True if an argument is (or begins with, if behind is set) an option. */
static bool
IsOption(const MaskScan *scan, const Argument *arg, const char *option,
		 size_t len, bool behind)
{
	size_t		size = arg->end - arg->start;

	return (behind ? size > len : size == len) &&
		memcmp(scan->text +arg->start, option, len) == 0;
}

/* True for some options of one letter in one argument, the last as given. */
static bool
IsJoined(const MaskScan *scan, const Argument *arg, char last)
{
	size_t		size = arg->end - arg->start;

	if (size < 3 || size > 6 || scan->text[arg->end - 1] != (unsigned char) last)
		return false;
	for (size_t i = arg->start + 1; i < arg->end; i++)
		if (!IsAlpha(scan->text[i]))
			return false;
	return scan->text[arg->start] == '-';
}

/*
 * The value that an argument is, or that follows it, for one of the forms of
 * an option.
 */
static bool
OptionValue(const MaskScan *scan, Walk *walk, const char *form,
			const Argument *arg, Argument *value)
{
	size_t		len = strcspn(form + 1, " ");

	*value = *arg;
	value->start += len;
	if ((*form == '+' || *form == '*') &&
		IsOption(scan, arg, form + 1, len, true))
		return true;
	if (*form == '+')
		return false;
	/* curl -su: several in one */
	if (*form == ':' && len == 2 && IsJoined(scan, arg, form[2]))
		return NextArgument(scan, &walk->at, walk->limit, value);
	if (IsOption(scan, arg, form + 1, len, true) &&
		scan->text[value->start] == '=')
	{
		value->start++;
		return true;
	}
	return IsOption(scan, arg, form + 1, len, false) &&
		NextArgument(scan, &walk->at, walk->limit, value);
}

/* The same of a form that has no option. */
static bool
PlainValue(const MaskScan *scan, const Walk *walk, const char *form,
		   const Argument *arg, Argument *value)
{
	size_t		len = *form == '#' ? strcspn(form + 2, " ") : 0;

	*value = *arg;
	Unquote(scan, value);
	if (*form == '#')
		return walk->plain == form[1] - '0' && IsLikely(scan, value) &&
			(len == 0 || IsOption(scan, &walk->first, form + 2, len, false));
	if (walk->plain != 1)
		return false;
	return *form == '/' ? SlashPart(scan, value) :
		IsPipedToReader(scan, arg->end) && !IsNoPassword(scan, value);
}

/* True if an argument gives a value in one of the forms of its command. */
static bool
ArgumentValue(const MaskScan *scan, Walk *walk, const Argument *arg,
			  Argument *value)
{
	const char *form = commands[walk->command].values;
	bool		plain = scan->text[arg->start] != '-';

	if (*form == '!')
	{
		walk->login |= IsOption(scan, arg, "login", 5, false);
		if (!walk->login)
			return false;
		form++;
	}
	if (plain && ++walk->plain == 1)
		walk->first = *arg;
	for (; *form; form += *form == ' ')
	{
		if (strchr("#/|", *form) != NULL)
		{
			if (plain && PlainValue(scan, walk, form, arg, value))
				return true;
		}
		else if (OptionValue(scan, walk, form, arg, value))
		{
			Unquote(scan, value);
			if (strchr(":,%", *form) != NULL)
				return SecondPart(scan, *form, value);
			/* openssl -passin pass:X */
			if (FoldMatch(scan->text, value->end, value->start, "pass:", 5) > 0)
				value->start += 5;
			return !IsNoPassword(scan, value);
		}
		form += strcspn(form, " ");
	}
	return false;
}

/* Leaves a note of a value; false if another comes before it. */
bool
NoteDue(MaskScan *scan, KeyKind kind, size_t start, size_t end)
{
	if (scan->due != SIZE_MAX || start < scan->done)
		return false;
	scan->due = start;
	scan->due_end = end;
	scan->due_kind = (uint8_t) kind;
	scan->due_command = NO_COMMAND;
	return true;
}

/* Looks for the next value of a command and leaves a note of it. */
static void
NoteValue(MaskScan *scan, Walk *walk)
{
	Argument	arg;
	Argument	value;

	while (NextArgument(scan, &walk->at, walk->limit, &arg))
	{
		/* in a list */
		if (scan->text[arg.start] == '"' && arg.end - arg.start > 1)
			Unquote(scan, &arg);
		if (scan->text[arg.start] != '-' && CommandOf(scan, arg) >= 0)
			return;				/* has an event of its own */
		if (scan->text[arg.start] != '-' && !command_takes_all[walk->command])
			continue;
		if (ArgumentValue(scan, walk, &arg, &value))
		{
			if (NoteDue(scan, KEY_PASSWORD, value.start, value.end))
				scan->due_command = (uint8_t) walk->command;
			return;
		}
	}
}

/*
 * PASSWORD: the name of a command.  Only where arguments may follow: a URL's
 * host or a part of a name is none.
 */
bool
DetectCommand(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	Walk		walk = {0};
	unsigned char before = ByteBefore(scan, scan->word_start);

	(void) self;
	if (first_command['c'] == 0)
		PrepareCommands();
	walk.command = CommandNamed(scan, scan->word_start, pos);
	if (walk.command < 0 || scan->due != SIZE_MAX ||
		before == '-' || before == '_' || before == '.' || before == '@')
		return false;
	if (FoldMatch(scan->text, scan->len, pos, ".exe", 4) > 0)
		pos += 4;
	/* the end of "mysql" in a list */
	if (ByteAt(scan, pos) == '"' && ByteAt(scan, pos + 1) == ',')
		pos++;
	if (ByteAt(scan, pos) != ' ' && ByteAt(scan, pos) != ',' &&
		ByteAt(scan, pos) != '\t')
		return false;
	walk.at = pos;
	walk.limit = pos + LINE_ROOM < scan->len ? pos + LINE_ROOM : scan->len;
	NoteValue(scan, &walk);
	return false;
}

/*
 * Notes the next private member of a JSON Web Key: "d" and what it is made
 * of, or a symmetric "k".
 */
static void
NoteJwk(MaskScan *scan, size_t pos)
{
	static const char *const members[] =
	{"\"d\"", "\"p\"", "\"q\"", "\"k\"", "\"dp\"", "\"dq\"", "\"qi\""};
	size_t		limit = pos + 3000 < scan->len ? pos + 3000 : scan->len;

	while (pos + 4 < limit)
	{
		const unsigned char *quote = memchr(scan->text +pos, '"', limit - pos - 4);
		size_t		at;

		if (quote == NULL || memcmp(quote, "\"kty", 4) == 0)
			return;
		pos = (size_t) (quote - scan->text) +1;
		for (int i = 0; i < 7; i++)
		{
			size_t		len = strlen(members[i]);
			size_t		start;
			size_t		end;

			if (memcmp(quote, members[i], len) != 0)
				continue;
			for (at = pos - 1 + len; IsSpace(ByteAt(scan, at)) ||
				 ByteAt(scan, at) == ':'; at++)
				;
			if (SecretAt(scan, at, LOOKS_NAMED, &start, &end) &&
				start > at && end - start >= 20 &&
				NoteDue(scan, KEY_SECRET, start, end))
			{
				scan->due_command = JWK_MEMBERS;
				return;
			}
		}
	}
}

/* Reports the value that was noted, and looks for the command's next. */
void
ReportDue(MaskScan *scan)
{
	MaskHit		hit = {0};
	Walk		walk = {0};

	hit.entity = scan->due_kind == KEY_PASSWORD ? MASK_PASSWORD : MASK_SECRET;
	hit.start = scan->due;
	hit.end = scan->due_end;
	hit.score = 0.8f;
	hit.validator = "context";
	scan->due = SIZE_MAX;
	if (!OfferWord(scan, hit.start) || scan->done < hit.end)
	{
		size_t		done = scan->done;

		MaskAddHit(scan, &hit);
		/* a number that begins here may go on behind it, and becomes one hit */
		if (IsDigit(scan->text[hit.start]) || scan->text[hit.start] == '(' ||
			scan->text[hit.start] == '+')
			scan->done = done;
	}
	if (scan->due_command == JWK_MEMBERS)
		NoteJwk(scan, hit.end + 1);
	if (scan->due_command >= JWK_MEMBERS)
		return;
	walk.command = scan->due_command;
	walk.plain = 100;
	walk.at = hit.end;
	if (ByteAt(scan, walk.at) == '"' || ByteAt(scan, walk.at) == '\'')
		walk.at++;
	walk.limit = walk.at + LINE_ROOM < scan->len ? walk.at + LINE_ROOM :
		scan->len;
	walk.login = true;
	NoteValue(scan, &walk);
}

/* SECRET: a JSON Web Key, at its "kty". */
bool
DetectJwk(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	(void) self;
	if (ByteBefore(scan, scan->word_start) == '"' && ByteAt(scan, pos) == '"' &&
		scan->due == SIZE_MAX)
		NoteJwk(scan, pos + 1);
	return false;
}
