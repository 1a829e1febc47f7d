#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#ifndef SOCK_CLOEXEC
#define SOCK_CLOEXEC 0
#endif

static void set(int socket, int level, int option, int value) {
    setsockopt(socket, level, option, &value, sizeof value);
}

// A worker that computes sends nothing for as long as that takes, so silence alone says nothing; its kernel answers.
static void watch(int socket) {
    set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef __linux__
    set(socket, IPPROTO_TCP, TCP_KEEPIDLE, 2);
    set(socket, IPPROTO_TCP, TCP_KEEPINTVL, 2);
    set(socket, IPPROTO_TCP, TCP_KEEPCNT, 2);
    set(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, patience * 1000);
#else
    set(socket, IPPROTO_TCP, TCP_KEEPALIVE, 2);
#endif
#ifdef SO_NOSIGPIPE
    set(socket, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
}

// Whether the connection was made in time; says why not by errno.
static bool connect_in_time(int socket, const struct sockaddr *address, socklen_t length) {
    int flags = fcntl(socket, F_GETFL);
    fcntl(socket, F_SETFL, flags | O_NONBLOCK);
    if (connect(socket, address, length) != 0) {
        if (errno != EINPROGRESS) return false;
        struct pollfd waiting = {.fd = socket, .events = POLLOUT};
        int ready = poll(&waiting, 1, patience * 1000);
        int error = ETIMEDOUT;
        socklen_t size = sizeof error;
        if (ready > 0) getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            errno = error;
            return false;
        }
    }
    fcntl(socket, F_SETFL, flags);
    return true;
}

int connect_to(const char *host, const char *port, char *reason, size_t reason_size) {
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int error = getaddrinfo(host, port, &wanted, &found);
    if (error) {
        snprintf(reason, reason_size, "%s", gai_strerror(error));
        return -1;
    }
    int result = -1;
    for (struct addrinfo *one = found; one && result < 0; one = one->ai_next) {
        result = socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (result < 0) break;
        if (!connect_in_time(result, one->ai_addr, one->ai_addrlen)) {
            snprintf(reason, reason_size, "%s", strerror(errno));
            close(result);
            result = -1;
        }
    }
    freeaddrinfo(found);
    if (result >= 0) watch(result);
    return result;
}

int listen_locally(int *port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0) return -1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4)
        || getsockname(listener, (struct sockaddr *)&address, &size)) {
        close(listener);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return listener;
}

bool send_all(int socket, const void *data, size_t size) {
    const char *next = data;
    while (size > 0) {
        ssize_t count = send(socket, next, size, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        next += count;
        size -= (size_t)count;
    }
    return true;
}

bool receive_all(int socket, void *data, size_t size) {
    char *next = data;
    while (size > 0) {
        ssize_t count = recv(socket, next, size, 0);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        next += count;
        size -= (size_t)count;
    }
    return true;
}

void limit_waiting(int socket, int seconds) {
    struct timeval limit = {.tv_sec = seconds};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}
