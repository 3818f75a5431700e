/*
 * llm_audit.h
 *	  Settings and facts about the library as a whole.
 */
#ifndef LLM_AUDIT_H
#define LLM_AUDIT_H

#include "postgres.h"

/*
 * Marks the errors that we raise as ours, also when they have been copied:
 * their words are chosen, and quote nothing.  There is no catalog of
 * translations of that name.
 */
#undef TEXTDOMAIN
#define TEXTDOMAIN	"llm_audit"

extern int	llm_audit_max_lanes;	/* -1: computed, see MaxLanes */
extern int	llm_audit_seal_grace;	/* seconds */
extern int	llm_audit_ddl_lock_timeout; /* milliseconds */
extern bool llm_audit_restore;

/*
 * Restore mode counts only in a session of a superuser's: the setting may be
 * one of the database.  pg_restore --role makes somebody else the current
 * user.
 */
extern bool RestoreMode(void);

extern bool llm_audit_allow_unknown_actions;

/* The lane limit in force: the setting, or its computed default. */
extern int	MaxLanes(void);

/* True if the library was loaded by shared_preload_libraries. */
extern bool Preloaded(void);

#endif
