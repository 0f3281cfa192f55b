/* page.h: the page at /: page.html, as it was when the program was built. Thread: any. */
#ifndef WEB_PAGE_H
#define WEB_PAGE_H

#include "trivet/base/slice.h"

struct slice page_text(void);

#endif
