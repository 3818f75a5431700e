/*
 * encrypt_original.c
 *	  Encrypted originals: the text of a fragment as it came, as an OpenPGP
 *	  message to a public key, which the server cannot open.
 *
 * pgcrypto's function is called by its address and not by a statement, so
 * that nothing that logs or explains statements sees its argument.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "policy/encrypt.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/catcache.h"
#include "utils/syscache.h"

#define RECIPIENT_ENVIRONMENT_ATT	1
#define RECIPIENT_SERVICE_ATT		2
#define RECIPIENT_KEY_ATT			3

#define OPENPGP_OPTIONS "cipher-algo=aes256, compress-algo=0, unicode-mode=1"

/* A row of original_recipient. */
typedef struct Recipient
{
	char	   *environment;
	char	   *service_name;
	bytea	   *public_key;		/* NULL: originals are not kept */
} Recipient;

static List *recipients = NIL;
static MemoryContext recipients_context = NULL;
static uint64 recipients_generation = 0;

/* ConfigScan's visitor: keeps a row. */
static void
KeepRecipient(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Recipient  *recipient = palloc0(sizeof(Recipient));
	bool		isnull;
	Datum		key = heap_getattr(tuple, RECIPIENT_KEY_ATT, desc, &isnull);

	if (!isnull)
		recipient->public_key = DatumGetByteaPCopy(key);
	recipient->environment =
		TextDatumGetCString(heap_getattr(tuple, RECIPIENT_ENVIRONMENT_ATT,
										 desc, &isnull));
	recipient->service_name =
		TextDatumGetCString(heap_getattr(tuple, RECIPIENT_SERVICE_ATT,
										 desc, &isnull));
	recipients = lappend(recipients, recipient);
}

/* Reads the table again if the configuration has changed since. */
static void
RefreshRecipients(void)
{
	uint64		generation = ConfigGeneration();
	MemoryContext old;

	if (recipients_context != NULL && recipients_generation == generation)
		return;
	if (recipients_context == NULL)
		recipients_context = AllocSetContextCreate(TopMemoryContext,
												   "llm_audit recipients",
												   ALLOCSET_SMALL_SIZES);
	recipients = NIL;
	recipients_generation = 0;
	MemoryContextReset(recipients_context);
	old = MemoryContextSwitchTo(recipients_context);
	ConfigScan("original_recipient", NULL, 0, KeepRecipient, NULL);
	MemoryContextSwitchTo(old);
	recipients_generation = generation;
}

/* 2 if the pattern names the value, 1 if it stands for all, else 0. */
static int
Matches(const char *pattern, const char *value)
{
	if (strcmp(pattern, "*") == 0)
		return 1;
	return value != NULL && strcmp(pattern, value) == 0 ? 2 : 0;
}

/* The public key for an environment and service, the most specific; or NULL. */
static bytea *
FindPublicKey(const char *environment, const char *service_name)
{
	ListCell   *lc;
	int			best = 0;
	bytea	   *result = NULL;

	foreach(lc, recipients)
	{
		const Recipient *recipient = lfirst(lc);
		int			env = Matches(recipient->environment, environment);
		int			service = Matches(recipient->service_name, service_name);

		if (env > 0 && service > 0 && service * 4 + env > best)
		{
			best = service * 4 + env;
			result = recipient->public_key;
		}
	}
	return result;
}

/*
 * The OID of pgcrypto's pgp_pub_encrypt(text, bytea, text).  Only a member of
 * the extension, and only C: what stands for it under its name is given no
 * text.
 */
static Oid
FindOpenPgp(void)
{
	CatCList   *list;
	Oid			extension = get_extension_oid("pgcrypto", true);
	Oid			result = InvalidOid;

	if (!OidIsValid(extension))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("originals are to be encrypted, but extension \"%s\" is missing",
						"pgcrypto"),
				 errhint("CREATE EXTENSION pgcrypto.")));
	list = SearchSysCacheList1(PROCNAMEARGSNSP,
							   CStringGetDatum("pgp_pub_encrypt"));
	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);

		if (proc->prolang == ClanguageId && proc->pronargs == 3 &&
			proc->proargtypes.values[0] == TEXTOID &&
			proc->proargtypes.values[1] == BYTEAOID &&
			proc->proargtypes.values[2] == TEXTOID &&
			getExtensionOfObject(ProcedureRelationId, proc->oid) == extension)
			result = proc->oid;
	}
	ReleaseSysCacheList(list);
	if (!OidIsValid(result))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("extension \"%s\" has no function %s", "pgcrypto",
						"pgp_pub_encrypt(text, bytea, text)")));
	return result;
}

/* The value of a text attribute, or NULL. */
static char *
AttrText(AttrNumber attnum, const Datum *values, const bool *nulls)
{
	if (attnum == InvalidAttrNumber || nulls[attnum - 1])
		return NULL;
	return TextDatumGetCString(values[attnum - 1]);
}

void
EncryptOriginal(const Segment *seg, const LedgerPlan *plan, Datum *values,
				bool *nulls)
{
	const LedgerColumn *target = plan->original_encrypted;
	AttrNumber	body = plan->outcome.body;
	bytea	   *public_key;

	if (target == NULL || target->attnum == InvalidAttrNumber ||
		body == InvalidAttrNumber || nulls[body - 1])
		return;
	RefreshRecipients();
	if (recipients == NIL)
		return;
	public_key = FindPublicKey(AttrText(plan->outcome.environment, values, nulls),
							   AttrText(plan->outcome.service_name, values, nulls));
	if (public_key == NULL)
		return;
	values[target->attnum - 1] =
		OidFunctionCall3(FindOpenPgp(), values[body - 1],
						 PointerGetDatum(public_key),
						 CStringGetTextDatum(OPENPGP_OPTIONS));
	nulls[target->attnum - 1] = false;
}
