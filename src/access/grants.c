#include "postgres.h"
#include "access/access.h"
bool GrantsMatter(Node *stmt){return false;}
void GrantsBefore(Node *stmt){}
void GrantsAfter(Node *stmt){}
void LoginInit(void){}
