/*
 * disclosure.h
 *	  Start of the disclosure workflow's settings.
 */
#ifndef LLM_AUDIT_DISCLOSURE_H
#define LLM_AUDIT_DISCLOSURE_H

extern void DisclosureInit(void);

#endif
