/*
 * scope.c
 *	  Who may reach what: role_scope, read and combined for a user.
 *
 * A row of role_scope says which organizations, environments, services and
 * actors a role may reach.  It counts for a task (a role of ours such as
 * llm_audit_security) of a user if the row's role holds the task and the user
 * is a member of the row's role.  Policies and views ask by llm_audit.scope()
 * in sub-selects that do not depend on the row, so once per statement.
 *
 * Several rows add up only where that is exact: if they differ in one
 * dimension.  Bank A in prod and bank B in test are not A and B in prod and
 * test, so such a user is told to choose.
 *
 * What is read is cached per backend and dropped when role_scope or a
 * membership changes; invalidations only set a flag.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "ledger/scope.h"
#include "miscadmin.h"
#include "policy/policy.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(llm_audit_scope);
PG_FUNCTION_INFO_V1(llm_audit_scope_is_all);
PG_FUNCTION_INFO_V1(llm_audit_caller);
PG_FUNCTION_INFO_V1(llm_audit_is_member);

/* Column numbers of role_scope, as sql/82_scope.sql. */
#define SCOPE_ROLE_ATT 1
#define SCOPE_FIRST_DIM_ATT 2

/* Stands for everything in a dimension. */
#define EVERYTHING "*"

typedef enum ScopeDim
{
	DIM_ORGANIZATIONS = 0,
	DIM_ENVIRONMENTS,
	DIM_SERVICES,
	DIM_ACTORS,
	DIM_COUNT
} ScopeDim;

static const char *const dim_names[DIM_COUNT] = {
	"organizations", "environments", "services", "actor_ids"
};

/* What may be reached in one dimension: everything, or what is listed. */
typedef struct ScopeSet
{
	bool		all;
	List	   *names;			/* of char * */
} ScopeSet;

typedef struct Scope
{
	Oid			role;
	ScopeSet	sets[DIM_COUNT];
} Scope;

/* A user's combined scope for some tasks. */
typedef struct ScopeEntry
{
	Oid			user;
	Oid			session_user;
	List	   *tasks;			/* of Oid; NIL: any */
	bool		ambiguous;
	Scope		scope;
} ScopeEntry;

/* All of it lives in scope_context and goes with it. */
static MemoryContext scope_context = NULL;
static List *all_rows = NIL;	/* of Scope */
static List *entries = NIL;		/* of ScopeEntry */
static uint64 read_generation = 0;
static bool memberships_changed = false;

/* The writer whose rows were last accepted, and what of. */
typedef struct AcceptedWriter
{
	Oid			user;
	uint64		generation;
	bool		unlimited;
	char	   *organization;	/* in TopMemoryContext, or NULL */
	size_t		organization_len;
	NameData	environment;
} AcceptedWriter;

static AcceptedWriter accepted;

/* Syscache callback: a role or a membership has changed. */
static void
ForgetMemberships(Datum arg, int cacheid, uint32 hashvalue)
{
	memberships_changed = true;
}

void
ScopeInit(void)
{
	CacheRegisterSyscacheCallback(AUTHOID, ForgetMemberships, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, ForgetMemberships,
								  (Datum) 0);
}

/* ---------------- sets ---------------- */

static bool
SetHas(const ScopeSet *set, const char *name, size_t len)
{
	ListCell   *lc;

	if (set->all)
		return true;
	foreach(lc, set->names)
	{
		const char *has = lfirst(lc);

		if (strlen(has) == len && memcmp(has, name, len) == 0)
			return true;
	}
	return false;
}

/* True if all that b has is in a. */
static bool
SetCovers(const ScopeSet *a, const ScopeSet *b)
{
	ListCell   *lc;

	if (a->all || b->all)
		return a->all;
	foreach(lc, b->names)
	{
		if (!SetHas(a, lfirst(lc), strlen(lfirst(lc))))
			return false;
	}
	return true;
}

static void
SetAdd(ScopeSet *set, const ScopeSet *more)
{
	ListCell   *lc;

	set->all |= more->all;
	foreach(lc, more->names)
	{
		if (!SetHas(set, lfirst(lc), strlen(lfirst(lc))))
			set->names = lappend(set->names, lfirst(lc));
	}
}

/*
 * Adds b to a if what results is no more than both; false if it would be.
 */
static bool
ScopeMerge(Scope *a, const Scope *b)
{
	int			differ = 0;
	int			where = 0;
	bool		a_covers = true;
	bool		b_covers = true;

	for (int i = 0; i < DIM_COUNT; i++)
	{
		bool		down = SetCovers(&a->sets[i], &b->sets[i]);
		bool		up = SetCovers(&b->sets[i], &a->sets[i]);

		a_covers &= down;
		b_covers &= up;
		if (!down || !up)
		{
			differ++;
			where = i;
		}
	}
	if (a_covers)
		return true;
	if (b_covers)
		memcpy(a->sets, b->sets, sizeof(a->sets));
	else if (differ == 1)
		SetAdd(&a->sets[where], &b->sets[where]);
	else
		return false;
	return true;
}

/* ---------------- reading role_scope ---------------- */

/* The set of a text[] attribute; NULL is nothing. */
static ScopeSet
SetFromAttr(HeapTuple tuple, TupleDesc desc, int attnum)
{
	ScopeSet	set = {false, NIL};
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, desc, &isnull);
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	if (isnull)
		return set;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *name;

		if (nulls[i])
			continue;
		name = TextDatumGetCString(elements[i]);
		if (strcmp(name, EVERYTHING) == 0)
			set.all = true;
		set.names = lappend(set.names, name);
	}
	return set;
}

/* Visitor: the rows of role_scope; rows of roles that are gone do not count. */
static void
ScopeRowRead(HeapTuple tuple, TupleDesc desc, void *arg)
{
	bool		isnull;
	Datum		name = heap_getattr(tuple, SCOPE_ROLE_ATT, desc, &isnull);
	Scope	   *scope = palloc0(sizeof(Scope));

	scope->role = isnull ? InvalidOid :
		get_role_oid(NameStr(*DatumGetName(name)), true);
	if (!OidIsValid(scope->role))
		return;
	for (int i = 0; i < DIM_COUNT; i++)
		scope->sets[i] = SetFromAttr(tuple, desc, SCOPE_FIRST_DIM_ATT + i);
	all_rows = lappend(all_rows, scope);
}

/* Reads role_scope if it may have changed since; leaves all_rows valid. */
static void
ScopeRead(void)
{
	MemoryContext old;
	uint64		generation = ConfigGeneration();

	if (scope_context != NULL && read_generation == generation &&
		!memberships_changed)
		return;
	if (scope_context == NULL)
		scope_context = AllocSetContextCreate(CacheMemoryContext,
											  "llm_audit scopes",
											  ALLOCSET_SMALL_SIZES);
	all_rows = NIL;
	entries = NIL;
	read_generation = 0;
	accepted.user = InvalidOid;

	MemoryContextReset(scope_context);
	memberships_changed = false;
	old = MemoryContextSwitchTo(scope_context);
	ConfigScan("role_scope", NULL, 0, ScopeRowRead, NULL);
	MemoryContextSwitchTo(old);
	read_generation = generation;
}

/* ---------------- combining ---------------- */

/*
 * The user whose rights count: the current one, but within a function of
 * ours that runs as the owner of the views, whoever called it.
 */
static Oid
Caller(void)
{
	Oid			user = GetUserId();

	if (user == get_role_oid("llm_audit_view_owner", true) ||
		user == get_role_oid("llm_audit_definer", true))
		return GetOuterUserId();
	return user;
}

/*
 * True if a row of role_scope counts for the user and the tasks.  A login that
 * has taken on a role by SET ROLE keeps the row of its own name.
 */
static bool
RowCounts(Oid role, Oid user, List *tasks)
{
	ListCell   *lc;

	if (!is_member_of_role_nosuper(user, role) &&
		!(role == GetSessionUserId() && user == GetOuterUserId() &&
		  is_member_of_role_nosuper(role, user)))
		return false;
	foreach(lc, tasks)
	{
		if (is_member_of_role_nosuper(role, lfirst_oid(lc)))
			return true;
	}
	return tasks == NIL;
}

/* Everything, for superusers: nothing that they ask by is hidden anyway. */
static Scope
ScopeOfEverything(void)
{
	Scope		scope = {0};

	for (int i = 0; i < DIM_COUNT; i++)
		scope.sets[i].all = true;
	return scope;
}

/* Combines the rows that count into entry, in scope_context. */
static void
ScopeCombine(ScopeEntry *entry)
{
	List	   *parts = NIL;
	ListCell   *lc;
	bool		merged = true;

	foreach(lc, all_rows)
	{
		const Scope *row = lfirst(lc);

		if (RowCounts(row->role, entry->user, entry->tasks))
		{
			Scope	   *copy = palloc(sizeof(Scope));

			*copy = *row;
			for (int i = 0; i < DIM_COUNT; i++)
				copy->sets[i].names = list_copy(row->sets[i].names);
			parts = lappend(parts, copy);
		}
	}

	while (merged && list_length(parts) > 1)
	{
		merged = false;
		for (int i = 1; i < list_length(parts) && !merged; i++)
		{
			for (int j = 0; j < i && !merged; j++)
				merged = ScopeMerge(list_nth(parts, j), list_nth(parts, i));
			if (merged)
				parts = list_delete_nth_cell(parts, i);
		}
	}

	/* without a task, the least that covers all: the views are exact */
	entry->ambiguous = entry->tasks != NIL && list_length(parts) > 1;
	foreach(lc, parts)
	{
		const Scope *part = lfirst(lc);

		for (int i = 0; i < DIM_COUNT; i++)
			SetAdd(&entry->scope.sets[i], &part->sets[i]);
	}
}

/* The user's scope for tasks, cached. */
static ScopeEntry *
ScopeFor(Oid user, List *tasks)
{
	ScopeEntry *entry;
	ListCell   *lc;
	MemoryContext old;

	ScopeRead();
	foreach(lc, entries)
	{
		entry = lfirst(lc);
		if (entry->user == user && equal(entry->tasks, tasks) &&
			entry->session_user == GetSessionUserId())
			return entry;
	}
	old = MemoryContextSwitchTo(scope_context);
	entry = palloc0(sizeof(ScopeEntry));
	entry->user = user;
	entry->session_user = GetSessionUserId();
	entry->tasks = list_copy(tasks);
	if (superuser_arg(user))
		entry->scope = ScopeOfEverything();
	else
		ScopeCombine(entry);
	entries = lappend(entries, entry);
	MemoryContextSwitchTo(old);
	return entry;
}

char *
ScopeOrganization(Oid user)
{
	const ScopeSet *set = &ScopeFor(user, NIL)->scope.sets[DIM_ORGANIZATIONS];

	if (set->all || list_length(set->names) != 1)
		return pstrdup("default");
	return pstrdup(linitial(set->names));
}

/* ---------------- SQL functions ---------------- */

/* The roles that an argument of type name[] names. */
static List *
TasksOf(Datum value)
{
	List	   *tasks = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(value), NAMEOID, NAMEDATALEN, false,
					  TYPALIGN_CHAR, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			tasks = lappend_oid(tasks,
								get_role_oid(NameStr(*DatumGetName(elements[i])),
											 false));
	}
	return tasks;
}

/* The caller's scope for the tasks that the call names, and the dimension. */
static ScopeSet *
ScopeOfCall(FunctionCallInfo fcinfo, ScopeDim *dim)
{
	char	   *wanted = PG_ARGISNULL(0) ? NULL :
	text_to_cstring(PG_GETARG_TEXT_PP(0));
	List	   *tasks = NIL;
	ScopeEntry *entry;

	for (*dim = 0; *dim < DIM_COUNT; (*dim)++)
	{
		if (wanted != NULL && strcmp(dim_names[*dim], wanted) == 0)
			break;
	}
	if (*dim == DIM_COUNT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a scope has organizations, environments, services and actor_ids")));
	if (!PG_ARGISNULL(1))
		tasks = TasksOf(PG_GETARG_DATUM(1));
	entry = ScopeFor(Caller(), tasks);
	if (entry->ambiguous)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("scopes of several roles apply and cannot be combined"),
				 errdetail("They differ in more than one of organizations, environments, services and actors."),
				 errhint("SET ROLE to the one that is meant, or have llm_audit.set_scope() set one for the login.")));
	return &entry->scope.sets[*dim];
}

/* Adds what a member may be called by: pseudonyms of a name, all live keys. */
static ArrayBuildState *
AddPseudonyms(ArrayBuildState *result, const char *name)
{
	char	   *pseudonym;

	if (PolicyIsPseudonym(name, strlen(name)))
		return result;
	for (int i = 0;
		 (pseudonym = PolicyPseudonym(i, "actor_id", name, strlen(name))) != NULL;
		 i++)
		result = accumArrayResult(result, CStringGetTextDatum(pseudonym), false,
								  TEXTOID, CurrentMemoryContext);
	return result;
}

/* Visitor: the names of all environments. */
static void
EnvironmentRead(HeapTuple tuple, TupleDesc desc, void *arg)
{
	List	  **names = arg;
	bool		isnull;
	Datum		name = heap_getattr(tuple, 1, desc, &isnull);

	if (!isnull)
		*names = lappend(*names, TextDatumGetCString(name));
}

/*
 * llm_audit.scope(dimension text, tasks name[]) → text[]
 *		What the caller may reach in a dimension by some tasks, or by any; every
 *		environment by its name, so that a plan can leave out the others.
 *		Errors: 22023 for an unknown dimension, 42704 for an unknown role,
 *		42501 if several scopes apply that cannot be combined.
 */
Datum
llm_audit_scope(PG_FUNCTION_ARGS)
{
	ScopeDim	dim;
	ScopeSet   *set = ScopeOfCall(fcinfo, &dim);
	List	   *names = list_copy(set->names);
	ArrayBuildState *result = initArrayResult(TEXTOID, CurrentMemoryContext,
											  false);
	ListCell   *lc;

	if (set->all && dim == DIM_ENVIRONMENTS)
	{
		names = NIL;
		ConfigScan("environment", NULL, 0, EnvironmentRead, &names);
	}
	foreach(lc, names)
	{
		result = accumArrayResult(result, CStringGetTextDatum(lfirst(lc)),
								  false, TEXTOID, CurrentMemoryContext);
		if (dim == DIM_ACTORS)
			result = AddPseudonyms(result, lfirst(lc));
	}
	PG_RETURN_DATUM(makeArrayResult(result, CurrentMemoryContext));
}

/*
 * llm_audit.scope_is_all(dimension text, tasks name[]) → boolean
 *		Whether the caller may reach everything in a dimension.  Errors: as
 *		scope().
 */
Datum
llm_audit_scope_is_all(PG_FUNCTION_ARGS)
{
	ScopeDim	dim;

	PG_RETURN_BOOL(ScopeOfCall(fcinfo, &dim)->all);
}

/*
 * llm_audit.caller() → name
 *		The user whose rights count where scopes are tested.
 */
Datum
llm_audit_caller(PG_FUNCTION_ARGS)
{
	Name		name = palloc0(NAMEDATALEN);

	namestrcpy(name, GetUserNameFromId(Caller(), false));
	PG_RETURN_NAME(name);
}

/*
 * llm_audit.is_member(member name, of name) → boolean
 *		Whether a role was granted another, directly or not, or is it; being
 *		a superuser does not count.  False for roles that do not exist.
 */
Datum
llm_audit_is_member(PG_FUNCTION_ARGS)
{
	Oid			member = get_role_oid(NameStr(*PG_GETARG_NAME(0)), true);
	Oid			of = get_role_oid(NameStr(*PG_GETARG_NAME(1)), true);

	PG_RETURN_BOOL(OidIsValid(member) && OidIsValid(of) &&
				   is_member_of_role_nosuper(member, of));
}

/* ---------------- writers ---------------- */

/* True if the row is like the last one that was accepted. */
static bool
LikeAccepted(const Segment *seg, const char *organization, size_t len)
{
	if (accepted.user != LedgerWriter() ||
		accepted.generation != ConfigGeneration() || memberships_changed)
		return false;
	if (accepted.unlimited)
		return true;
	return accepted.organization_len == len &&
		memcmp(accepted.organization, organization, len) == 0 &&
		strcmp(NameStr(accepted.environment), NameStr(seg->environment)) == 0;
}

/* Remembers what was accepted; organization NULL: the user is not limited. */
static void
Accept(const Segment *seg, const char *organization, size_t len)
{
	if (organization != NULL)
	{
		accepted.user = InvalidOid;

		if (accepted.organization != NULL)
			pfree(accepted.organization);
		accepted.organization = NULL;
		accepted.organization = MemoryContextAlloc(TopMemoryContext, len + 1);

		memcpy(accepted.organization, organization, len);
		accepted.organization_len = len;
		accepted.environment = seg->environment;
	}
	accepted.unlimited = (organization == NULL);
	accepted.generation = read_generation;
	accepted.user = LedgerWriter();
}

/*
 * True if the user may write to any organization: a superuser, one of our
 * own roles, or a writer for whom no scope was set.
 */
static bool
WriterIsUnlimited(Oid user, List *tasks)
{
	ListCell   *lc;

	if (superuser_arg(user) ||
		user == get_role_oid("llm_audit_owner", true) ||
		user == get_role_oid("llm_audit_definer", true))
		return true;
	foreach(lc, all_rows)
	{
		if (RowCounts(((const Scope *) lfirst(lc))->role, user, tasks))
			return false;
	}
	return true;
}

/* The error for a row outside of the writer's scope. */
static void
RefuseScope(const Segment *seg, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("value of column \"%s\" of ledger \"%s\" is outside the scope of role \"%s\"",
					column, NameStr(seg->ledger_name),
					GetUserNameFromId(LedgerWriter(), false)),
			 errhint("What a writer may write to is set by llm_audit.set_scope().")));
}

void
ScopeCheckWriter(const Segment *seg, const Datum *values, const bool *nulls)
{
	AttrNumber	attnum = seg->attrs.organization_id;
	Oid			user = LedgerWriter();
	List	   *tasks;
	text	   *organization;
	char	   *name;
	size_t		len;
	bool		organization_known = false;
	ListCell   *lc;

	if (!seg->builtin || attnum == InvalidAttrNumber || nulls[attnum - 1])
		return;
	organization = DatumGetTextPP(values[attnum - 1]);
	name = VARDATA_ANY(organization);
	len = VARSIZE_ANY_EXHDR(organization);
	if (LikeAccepted(seg, name, len))
		return;

	ScopeRead();
	tasks = list_make1_oid(get_role_oid("llm_audit_writer", true));
	if (WriterIsUnlimited(user, tasks))
	{
		Accept(seg, NULL, 0);
		return;
	}
	foreach(lc, all_rows)
	{
		const Scope *row = lfirst(lc);

		if (!RowCounts(row->role, user, tasks) ||
			!SetHas(&row->sets[DIM_ORGANIZATIONS], name, len))
			continue;
		organization_known = true;
		if (SetHas(&row->sets[DIM_ENVIRONMENTS], NameStr(seg->environment),
				   strlen(NameStr(seg->environment))))
		{
			Accept(seg, name, len);
			return;
		}
	}
	RefuseScope(seg, organization_known ? "environment" : "organization_id");
}
