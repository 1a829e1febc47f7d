#include "CRelay.h"

#include "protocol.h"
#include "sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { part_size = 1 << 18 };

// The description of the graph that a device of the worker computed last.
struct graph {
    uint8_t *data;
    uint64_t size;
};

struct relay {
    char host[256], port_name[32];
    int port, listener;
    // The connection to the worker; -1 if there is none.
    int worker;
    // What the worker answered to hello.
    uint8_t hello[hello_response_size];
    struct graph graphs[most_devices];
    uint8_t *part;
    atomic_bool lost;
    atomic_uint_fast64_t sent, received;
};

// MARK: The worker

static void lose(struct relay *relay) {
    if (relay->worker < 0) return;
    close(relay->worker);
    relay->worker = -1;
    atomic_store(&relay->lost, true);
}

static void to_worker(struct relay *relay, const void *data, size_t size) {
    if (relay->worker < 0) return;
    if (send_all(relay->worker, data, size)) atomic_fetch_add(&relay->sent, size);
    else lose(relay);
}

static bool from_worker(struct relay *relay, void *data, size_t size) {
    if (relay->worker < 0) return false;
    if (receive_all(relay->worker, data, size)) {
        atomic_fetch_add(&relay->received, size);
        return true;
    }
    lose(relay);
    return false;
}

static void write_header(uint8_t *header, uint8_t command, uint64_t size) {
    header[0] = command;
    memcpy(header + 1, &size, sizeof size);
}

// Greets the worker, which serves one program at a time and leaves the others waiting.
static bool greet(struct relay *relay, char *reason, size_t reason_size) {
    uint8_t request[header_size + hello_request_size] = {0};
    uint64_t size = 0;
    write_header(request, command_hello, hello_request_size);
    limit_waiting(relay->worker, patience - 2);
    to_worker(relay, request, sizeof request);
    bool answered = from_worker(relay, &size, sizeof size) && size == hello_response_size
        && from_worker(relay, relay->hello, sizeof relay->hello);
    if (!answered) {
        snprintf(reason, reason_size, "there is no answer: no worker, or one that serves another program");
        return false;
    }
    limit_waiting(relay->worker, 0);
    if (relay->hello[0] != relay_protocol) {
        snprintf(
            reason, reason_size, "it speaks version %d of ggml's protocol, not %d", relay->hello[0], relay_protocol);
        return false;
    }
    // What may be agreed on besides TCP is not.
    memset(relay->hello + 4, 0, sizeof relay->hello - 4);
    return true;
}

// MARK: Answers

// What ggml is told when there is no worker any more: no memory, and zeros.
static void substitute(uint8_t command, uint8_t *response, size_t size) {
    uint64_t value = 0;
    memset(response, 0, size);
    switch (command) {
    case command_get_alignment: value = 64; break;
    case command_get_max_size: value = UINT64_MAX; break;
    case command_buffer_get_base: value = 4096; break;
    default: return;
    }
    memcpy(response, &value, sizeof value);
}

// Answers ggml with the worker's response, or in its place.
static bool answer(struct relay *relay, int client, uint8_t command, uint64_t size) {
    uint64_t stated = 0;
    if (from_worker(relay, &stated, sizeof stated) && stated != size) lose(relay);
    if (!send_all(client, &size, sizeof size)) return false;
    while (size > 0) {
        size_t count = size < part_size ? size : part_size;
        if (!from_worker(relay, relay->part, count)) substitute(command, relay->part, count);
        if (!send_all(client, relay->part, count)) return false;
        size -= count;
    }
    return true;
}

// Waits until the worker has done all that it was told: so nothing waits in the network while it computes, and a connection on
// which nothing moves is a broken one.
static void wait_for_worker(struct relay *relay) {
    uint8_t header[header_size], response[8 + 4];
    write_header(header, command_device_count, 0);
    to_worker(relay, header, sizeof header);
    from_worker(relay, response, sizeof response);
}

// MARK: Requests

static void forget_graphs(struct relay *relay) {
    for (int index = 0; index < most_devices; index++) relay->graphs[index].size = 0;
}

// Lets the worker compute a graph, which is sent only if it is not the last one.
static bool compute(struct relay *relay, int client, const uint8_t *header, uint64_t size) {
    uint8_t *data = malloc(size);
    if (!data || !receive_all(client, data, size)) {
        free(data);
        return false;
    }
    uint32_t device = most_devices;
    if (size >= sizeof device) memcpy(&device, data, sizeof device);
    struct graph *last = device < most_devices ? &relay->graphs[device] : NULL;
    if (last && last->size == size && memcmp(last->data, data, size) == 0) {
        uint8_t request[header_size + sizeof device];
        write_header(request, command_graph_recompute, sizeof device);
        memcpy(request + header_size, &device, sizeof device);
        to_worker(relay, request, sizeof request);
        free(data);
    } else {
        to_worker(relay, header, header_size);
        to_worker(relay, data, size);
        if (last) {
            free(last->data);
            *last = (struct graph){data, size};
        } else {
            free(data);
        }
    }
    wait_for_worker(relay);
    return true;
}

// Passes a request on as it comes.
static bool pass(struct relay *relay, int client, const uint8_t *header, uint64_t size) {
    to_worker(relay, header, header_size);
    while (size > 0) {
        size_t count = size < part_size ? size : part_size;
        if (!receive_all(client, relay->part, count)) return false;
        to_worker(relay, relay->part, count);
        size -= count;
    }
    return true;
}

// Takes one request of ggml's. Returns false when it has gone.
static bool serve(struct relay *relay, int client) {
    uint8_t header[header_size], data[small_request];
    uint64_t size, wanted;
    if (!receive_all(client, header, sizeof header)) return false;
    memcpy(&size, header + 1, sizeof size);
    wanted = response_size(header[0]);
    switch (header[0]) {
    case command_hello:
        if (size != hello_request_size || !receive_all(client, data, size)) return false;
        return send_all(client, &wanted, sizeof wanted) && send_all(client, relay->hello, sizeof relay->hello);
    case command_graph_compute: return compute(relay, client, header, size);
    case command_get_tensor:
        if (size > small_request || size < sizeof wanted || !receive_all(client, data, size)) return false;
        memcpy(&wanted, data + size - sizeof wanted, sizeof wanted);
        to_worker(relay, header, sizeof header);
        to_worker(relay, data, size);
        return answer(relay, client, header[0], wanted);
    // The worker forgets its graphs too: they may point there.
    case command_free_buffer: forget_graphs(relay); break;
    default: break;
    }
    return pass(relay, client, header, size) && (wanted == 0 || answer(relay, client, header[0], wanted));
}

// Waits for ggml's next request, and notices meanwhile when the worker goes. Returns false when ggml has gone.
static bool wait_for_request(struct relay *relay, int client) {
    for (;;) {
        struct pollfd waiting[] = {{.fd = client, .events = POLLIN}, {.fd = relay->worker, .events = POLLIN}};
        if (poll(waiting, 2, -1) < 0) continue;
        // It says nothing unless it was asked.
        if (relay->worker >= 0 && waiting[1].revents) lose(relay);
        if (waiting[0].revents) return (waiting[0].revents & POLLIN) != 0;
    }
}

static void *run(void *argument) {
    struct relay *relay = argument;
    char reason[256];
    for (;;) {
        int client = accept(relay->listener, NULL, NULL);
        if (client < 0) continue;
        int on = 1;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        // The first time there is a connection already.
        if (relay->worker < 0 && !atomic_load(&relay->lost)) {
            relay->worker = connect_to(relay->host, relay->port_name, reason, sizeof reason);
            if (relay->worker < 0) atomic_store(&relay->lost, true);
            else if (!greet(relay, reason, sizeof reason)) lose(relay);
        }
        while (wait_for_request(relay, client) && serve(relay, client)) {}
        close(client);
        forget_graphs(relay);
        if (relay->worker >= 0) close(relay->worker);
        relay->worker = -1;
    }
    return NULL;
}

// MARK: Interface

relay *relay_open(const char *host, const char *port, char *reason, size_t reason_size) {
    struct relay *relay = calloc(1, sizeof *relay);
    uint8_t *part = malloc(part_size);
    pthread_t thread;
    if (!relay || !part) goto failed;
    relay->part = part;
    snprintf(relay->host, sizeof relay->host, "%s", host);
    snprintf(relay->port_name, sizeof relay->port_name, "%s", port);
    relay->worker = connect_to(host, port, reason, reason_size);
    if (relay->worker < 0 || !greet(relay, reason, reason_size)) goto failed;
    relay->listener = listen_locally(&relay->port);
    if (relay->listener < 0 || pthread_create(&thread, NULL, run, relay)) {
        snprintf(reason, reason_size, "this machine has no port or thread left");
        goto failed;
    }
    pthread_detach(thread);
    return relay;
failed:
    if (relay && relay->worker > 0) close(relay->worker);
    free(relay);
    free(part);
    return NULL;
}

int relay_port(const struct relay *relay) { return relay->port; }

bool relay_is_lost(const struct relay *relay) { return atomic_load(&relay->lost); }

void relay_bytes(const struct relay *relay, uint64_t *sent, uint64_t *received) {
    *sent = atomic_load(&relay->sent);
    *received = atomic_load(&relay->received);
}
