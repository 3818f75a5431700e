/*
 * compat.c
 *	  What compat.h needs beyond macros.
 */
#include "postgres.h"

#include "compat.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"


#ifdef COMPAT_SETTING_SCAN
/* The setting of that name, or NULL. */
struct config_generic *
FindSettingByScan(const char *name)
{
	struct config_generic **variables = get_guc_variables();
	int			count = GetNumConfigOptions();

	for (int i = 0; i < count; i++)
	{
		if (strcmp(variables[i]->name, name) == 0)
			return variables[i];
	}
	return NULL;
}
#endif
