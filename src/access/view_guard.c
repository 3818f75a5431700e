#include "postgres.h"
#include "fmgr.h"
PG_FUNCTION_INFO_V1(llm_audit_access_guard);
PG_FUNCTION_INFO_V1(llm_audit_reveal);
PG_FUNCTION_INFO_V1(llm_audit_is_export);
PG_FUNCTION_INFO_V1(llm_audit_reader_setting);
PG_FUNCTION_INFO_V1(llm_audit_access_status);
PG_FUNCTION_INFO_V1(llm_audit_pause_workers);
Datum llm_audit_access_guard(PG_FUNCTION_ARGS){PG_RETURN_BOOL(true);}
Datum llm_audit_reveal(PG_FUNCTION_ARGS){if(PG_ARGISNULL(2))PG_RETURN_NULL();PG_RETURN_DATUM(PG_GETARG_DATUM(2));}
Datum llm_audit_is_export(PG_FUNCTION_ARGS){PG_RETURN_BOOL(false);}
Datum llm_audit_reader_setting(PG_FUNCTION_ARGS){PG_RETURN_NULL();}
Datum llm_audit_access_status(PG_FUNCTION_ARGS){PG_RETURN_NULL();}
Datum llm_audit_pause_workers(PG_FUNCTION_ARGS){PG_RETURN_INT32(0);}
