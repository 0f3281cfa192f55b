/* page.c: see page.h. The assembler puts the file between two labels; make knows that this file depends on
 * it. The path is that from the folder where make runs. */
#include "page.h"

__asm__(".pushsection .rodata\n"
        "web_page_begin:\n"
        ".incbin \"src/web/page.html\"\n"
        "web_page_end:\n"
        ".byte 0\n"
        ".popsection\n");

extern const char web_page_begin[], web_page_end[];

struct slice page_text(void) {
    return slice_between(web_page_begin, web_page_end);
}
