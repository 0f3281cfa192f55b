/* client_class.h: the classes of clients that have output limits of their own. */
#ifndef TRIVET_ENGINE_SETTINGS_CLIENT_CLASS_H
#define TRIVET_ENGINE_SETTINGS_CLIENT_CLASS_H

enum client_class { CLASS_NORMAL, CLASS_REPLICA, CLASS_PUBSUB, CLASS_COUNT };

#endif
