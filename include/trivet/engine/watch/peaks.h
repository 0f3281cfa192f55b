/* peaks.h: the most memory that was ever in use, and when. Thread: any. */
#ifndef TRIVET_ENGINE_WATCH_PEAKS_H
#define TRIVET_ENGINE_WATCH_PEAKS_H

#include <stddef.h>
#include <stdint.h>

void stats_note_memory(size_t used, int64_t now_ms);
size_t stats_memory_peak(void);
int64_t stats_memory_peak_ms(void); /* wall clock */
void peaks_release(void);           /* tests begin anew */

#endif
