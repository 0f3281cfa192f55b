/* title.h: what `ps` shows of this process. The system shows the memory in which the program found its
 * arguments, so the title is written there; the environment lies behind it and gives more room.
 * Thread: the main thread at start-up, later with the gate closed. */
#ifndef SERVER_TITLE_H
#define SERVER_TITLE_H

/* First thing, as long as arguments and environment lie where the system put them. Moves the environment. */
void title_find_room(char **argv);

#endif
