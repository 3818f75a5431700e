/*
 * login.c
 *	  Logins, successful or not, as admin events.
 *
 * The hook runs while the client waits to be let in and before there is a
 * database, so it does nothing but put an entry into a ring: that of the
 * database that the client asked for, or else the first one.  It waits for
 * nothing and raises nothing; a login that finds the ring full or locked is
 * counted as lost.
 */
#include "postgres.h"

#include "access/access.h"
#include "access/client.h"
#include "access/xlog.h"
#include "libpq/auth.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

static ClientAuthentication_hook_type prev_ClientAuthentication = NULL;

/* The ring that keeps logins to this database. */
static AccessRing *
RingForLogin(const Port *port)
{
	AccessRing *ring = port->database_name ? RingOf(port->database_name) : NULL;

	return ring != NULL ? ring : RingByNumber(0);
}

/* Fills in the fields. */
static void
DescribeLogin(Port *port, bool ok, char **values)
{
	char	   *service = NULL;

	values[LOGIN_USER] = port->user_name ? port->user_name : "";
	values[LOGIN_DATABASE] = port->database_name ? port->database_name : "";
	values[LOGIN_OCCURRED_AT] = TimeText(GetCurrentTimestamp());
	values[LOGIN_ADDRESS] = ClientAddress(port, &service);
	values[LOGIN_SESSION] = psprintf("%lx.%x", (long) MyStartTime, MyProcPid);
	values[LOGIN_AUTHENTICATION_ID] = SessionIdentity();
#ifdef USE_SSL
	if (port->ssl_in_use)
		values[LOGIN_TLS_VERSION] = pstrdup(be_tls_get_version(port));
#endif
	values[LOGIN_OK] = ok ? "true" : "false";
}

/*
 * The hook: after each attempt to authenticate, whatever came of it.  How it
 * was done is needed for as long as the session lasts, and known here only.
 */
static void
AccessClientAuthentication(Port *port, int status)
{
	AccessRing *ring;
	char	   *values[LOGIN_FIELD_COUNT] = {NULL};
	StringInfoData buf;
	RingMessage message = {.kind = ENTRY_LOGIN};

	if (prev_ClientAuthentication)
		prev_ClientAuthentication(port, status);
	NoteAuthenticationMethod(port);
	/* who hangs up when asked for a password has not tried */
	if (!access_log_logins || status == STATUS_EOF || RecoveryInProgress())
		return;
	ring = RingForLogin(port);
	if (ring == NULL)
		return;
	DescribeLogin(port, status == STATUS_OK, values);
	initStringInfo(&buf);
	PackFields(&buf, values, LOGIN_FIELD_COUNT);
	RecordId(&message.id);
	message.payload = buf.data;
	message.length = buf.len;
	(void) RingPostLogin(ring, &message);
	pfree(buf.data);
}

void
LoginInit(void)
{
	prev_ClientAuthentication = ClientAuthentication_hook;
	ClientAuthentication_hook = AccessClientAuthentication;
}
