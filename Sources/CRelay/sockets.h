#ifndef RELAY_SOCKETS_H
#define RELAY_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>

// Seconds within which a silent peer is noticed.
enum { patience = 6 };

// Connects within `patience` seconds; -1 and the reason if that fails. The connection ends by itself when the other machine does not
// answer for that long.
int connect_to(const char *host, const char *port, char *reason, size_t reason_size);

// Listens on a free port of 127.0.0.1; -1 if that fails.
int listen_locally(int *port);

// Whether all bytes went or came.
bool send_all(int socket, const void *data, size_t size);
bool receive_all(int socket, void *data, size_t size);

// Limits how long `receive_all` waits; 0 for no limit.
void limit_waiting(int socket, int seconds);

#endif
