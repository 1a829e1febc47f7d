#ifndef CRELAY_H
#define CRELAY_H

// Stands between ggml's RPC and a worker on another machine, on this machine's loopback address.
//
// ggml ends the process when a worker does not answer. Behind a relay it always gets an answer: once the worker is lost, memory
// is refused and everything that is read is zero, and `relay_is_lost` says so. The relay counts the bytes that cross the
// network, and saves most of them: ggml sends the description of a graph with every computation, the relay has the worker
// compute its last one again if they are equal.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The major version of ggml's RPC protocol that the relay knows.
enum { relay_protocol = 7 };

typedef struct relay relay;

// Connects to a worker and listens for ggml. Returns NULL and the reason if that fails; it takes no longer than 10 seconds.
//
// The relay and its thread live until the process ends, as ggml's devices do.
relay *relay_open(const char *host, const char *port, char *reason, size_t reason_size);

// Where ggml is to connect to on 127.0.0.1.
int relay_port(const relay *relay);

// Whether the worker went away. What was read from it since may be zero.
bool relay_is_lost(const relay *relay);

// Bytes that were sent to the worker and received from it, as TCP carries them.
void relay_bytes(const relay *relay, uint64_t *sent, uint64_t *received);

#endif
