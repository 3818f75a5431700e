/*
 * client.h
 *	  The client's side of the connection, as struct Port has it.
 *
 * libpq-be.h wants the headers of GSSAPI where the server was built with it;
 * Port is laid out the same without.
 */
#ifndef LLM_AUDIT_ACCESS_CLIENT_H
#define LLM_AUDIT_ACCESS_CLIENT_H

#include "postgres.h"

#undef ENABLE_GSS
#include "libpq/libpq-be.h"

#endif
