/* SPDX-License-Identifier: Apache-2.0 */
/* bench_server.c — a load client that costs less than what it drives; bench/server.py runs it.
 *
 *   bench_server load rpc|http|redis HOST:PORT CONNECTIONS DEPTH SECONDS FILE
 *   bench_server echo REQUEST_BYTES ANSWER_BYTES SECONDS
 *
 * WHAT        load  sends the requests of FILE, made beforehand, in turns over all connections,
 *                   DEPTH of them on their way on each; SECONDS 0: each request once.  One thread
 *                   for all servers alike.  With one connection it waits in recv, else in epoll.
 *             echo  asks a thread of this process over the loopback: what a round trip costs where
 *                   nothing is done.
 * FORMAT      of FILE: for each request its bytes as a u32, little-endian, then the bytes.
 * PRINTS      per_second, p50_us, p99_us (from the write of a request to the end of its answer),
 *             answers, failed (answers that are errors), client_cpu (of one core; near 1: this
 *             client is the limit).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "codec/rpc.h"

enum {
    CONNECTIONS_MAX = 4096,
    DEPTH_MAX = 1024,
    READ_BYTES = 1 << 20,
    SAMPLES_MAX = 4 << 20,
    HEAD_BYTES_MAX = 16 << 10,
};

enum protocol { PROTOCOL_RPC, PROTOCOL_HTTP, PROTOCOL_REDIS };

struct connection {
    int fd;
    struct buf in, out;
    size_t out_sent;
    struct rpc_finder finder;
    uint64_t sent_ns[DEPTH_MAX]; /* a ring: when the requests under way were written */
    size_t sent_count, answer_count;
    bool waits_to_write;
};

static struct {
    enum protocol protocol;
    const uint8_t *file;
    size_t *starts; /* of each request; one more for the end */
    size_t request_count, next;
    size_t depth;
    bool is_once;
    int epoll;
    struct connection *connections;
    size_t connection_count;
    size_t answers, failed;
    float *samples_us;
    uint8_t *read_buffer;
} load;

static void fail(const char *what)
{
    fprintf(stderr, "bench_server: %s: %s\n", what, errno ? strerror(errno) : "");
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print_samples(float *samples, size_t count, double seconds, double cpu)
{
    if (count == 0) fail("no answer came");
    size_t kept = count < SAMPLES_MAX ? count : SAMPLES_MAX;
    qsort(samples, kept, sizeof *samples, compare_floats);
    printf("per_second %.1f\np50_us %.2f\np99_us %.2f\nanswers %zu\nclient_cpu %.2f\n",
           (double)count / seconds, (double)samples[kept / 2], (double)samples[kept * 99 / 100],
           count, cpu / seconds);
}

/* ---- Requests ---- */

static void read_requests(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) fail(path);
    size_t size = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = malloc(size + 1);
    load.starts = malloc((size / 5 + 2) * sizeof *load.starts);
    if (!bytes || !load.starts || fread(bytes, 1, size, f) != size) fail(path);
    fclose(f);
    size_t at = 0;
    while (at + 4 <= size) {
        load.starts[load.request_count++] = at;
        at += 4 + load_u32(bytes + at);
    }
    load.starts[load.request_count] = at;
    if (at != size || load.request_count == 0) fail("the file of requests is damaged");
    load.file = bytes;
}

static bool has_next(void)
{
    return !load.is_once || load.next < load.request_count;
}

/* ---- Answers ---- */

/* Bytes of the answer that bytes begin with; 0: there must come more. */
static size_t measure_http(struct slice bytes, bool *out_is_good)
{
    size_t limit = bytes.size < HEAD_BYTES_MAX ? bytes.size : HEAD_BYTES_MAX;
    const char *text = (const char *)bytes.data;
    const char *end = memmem(text, limit, "\r\n\r\n", 4);
    size_t length = 0;
    bool has_length = false;

    if (!end) return 0;
    for (const char *line = text; line < end;
         line = (const char *)memchr(line, 10, bytes.size) + 1) {
        if (strncasecmp(line, "content-length:", 15) != 0) continue;
        length = strtoul(line + 15, NULL, 10);
        has_length = true;
    }
    if (!has_length) fail("an answer without Content-Length");
    size_t size = (size_t)(end - text) + 4 + length;
    *out_is_good = text[9] == '2';
    return size <= bytes.size ? size : 0;
}

static size_t measure_redis(struct slice bytes, bool *out_is_good)
{
    const char *text = (const char *)bytes.data;
    const char *end = memmem(text, bytes.size, "\r\n", 2);

    if (!end) return 0;
    size_t head = (size_t)(end - text) + 2;
    *out_is_good = text[0] != '-' && !(text[0] == '$' && text[1] == '-');
    if (text[0] != '$' || !*out_is_good) return head;
    size_t size = head + strtoul(text + 1, NULL, 10) + 2;
    return size <= bytes.size ? size : 0;
}

static size_t measure_rpc(struct connection *c, struct slice bytes, bool *out_is_good)
{
    struct error err;
    size_t size;

    switch (rpc_finder_feed(&c->finder, &rpc_limits_default, bytes, &size, &err)) {
    case RPC_MORE:
        return 0;
    case RPC_BROKEN:
        fail(err.text);
        break;
    case RPC_FRAME:
        rpc_finder_reset(&c->finder);
    }
    uint8_t head = bytes.data[2];
    size_t id_bytes = head < 0x80 ? 1 : head == 0xcc ? 2 : head == 0xcd ? 3 : 5;
    *out_is_good = bytes.data[2 + id_bytes] == 0xc0; /* its error is nil */
    return size;
}

static size_t measure(struct connection *c, struct slice bytes, bool *out_is_good)
{
    if (load.protocol == PROTOCOL_RPC) return measure_rpc(c, bytes, out_is_good);
    if (load.protocol == PROTOCOL_HTTP) return measure_http(bytes, out_is_good);
    return measure_redis(bytes, out_is_good);
}

/* ---- Connections ---- */

static void open_connection(struct connection *c, const char *host, int port, bool waits)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;

    *c = (struct connection){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    buf_init(&c->in, alloc_libc(), MEM_MESSAGE);
    buf_init(&c->out, alloc_libc(), MEM_MESSAGE);
    rpc_finder_reset(&c->finder);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) fail(host);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0) fail(host);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (waits) return;
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) fail("epoll_ctl");
}

static void wait_to_write(struct connection *c, bool is_wanted)
{
    struct epoll_event event = {.events = EPOLLIN | (is_wanted ? EPOLLOUT : 0), .data.ptr = c};

    if (c->waits_to_write == is_wanted) return;
    c->waits_to_write = is_wanted;
    if (epoll_ctl(load.epoll, EPOLL_CTL_MOD, c->fd, &event) != 0) fail("epoll_ctl");
}

static void write_out(struct connection *c)
{
    while (c->out_sent < c->out.size) {
        ssize_t n = send(c->fd, c->out.data + c->out_sent, c->out.size - c->out_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            wait_to_write(c, true);
            return;
        }
        if (n < 0) fail("send");
        c->out_sent += (size_t)n;
    }
    wait_to_write(c, false);
    buf_reset(&c->out);
    c->out_sent = 0;
}

/* Send until DEPTH requests are under way. */
static void fill(struct connection *c)
{
    uint64_t now = now_ns();

    while (c->sent_count - c->answer_count < load.depth && has_next()) {
        size_t i = load.next++ % load.request_count;
        buf_append(&c->out, load.file + load.starts[i] + 4,
                   load.starts[i + 1] - load.starts[i] - 4);
        c->sent_ns[c->sent_count++ % DEPTH_MAX] = now;
    }
    if (!buf_ok(&c->out)) fail("no memory");
    write_out(c);
}

static void take_answer(struct connection *c, struct slice bytes, bool is_good, uint64_t now)
{
    if (!is_good && load.failed++ == 0)
        fprintf(stderr, "failed: %.*s\n", bytes.size < 400 ? (int)bytes.size : 400,
                (const char *)bytes.data);
    uint64_t sent = c->sent_ns[c->answer_count++ % DEPTH_MAX];
    load.samples_us[load.answers++ % SAMPLES_MAX] = (float)(now - sent) * 1e-3f;
}

/* What one recv gives; the next requests of all answers in it go out in one write. */
static void read_in(struct connection *c)
{
    ssize_t n = recv(c->fd, load.read_buffer, READ_BYTES, 0);
    bool is_good = false;
    size_t at = 0, size;

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) fail("the server closed the connection");
    struct slice bytes = slice_of(load.read_buffer, (size_t)n);
    if (c->in.size) {
        buf_append(&c->in, bytes.data, bytes.size);
        bytes = buf_slice(&c->in);
    }
    uint64_t now = now_ns();
    while (at < bytes.size) {
        struct slice rest = slice_of(bytes.data + at, bytes.size - at);
        if ((size = measure(c, rest, &is_good)) == 0) break;
        take_answer(c, slice_of(rest.data, size), is_good, now);
        at += size;
    }
    if (c->in.size == 0) {
        buf_append(&c->in, bytes.data + at, bytes.size - at);
    } else {
        memmove(c->in.data, c->in.data + at, c->in.size - at);
        c->in.size -= at;
    }
    fill(c);
}

static bool is_over(uint64_t deadline)
{
    if (load.is_once) return load.answers == load.request_count;
    return now_ns() >= deadline;
}

static void drive(uint64_t deadline)
{
    struct epoll_event events[64];

    for (size_t i = 0; i < load.connection_count; i++) fill(&load.connections[i]);
    while (!is_over(deadline)) {
        if (load.connection_count == 1) {
            read_in(load.connections);
            continue;
        }
        int count = epoll_wait(load.epoll, events, 64, 100);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) write_out(c);
            if (events[i].events & ~(uint32_t)EPOLLOUT) read_in(c);
        }
    }
}

static int run_load(char **argv)
{
    static const char *const protocols[] = {"rpc", "http", "redis"};
    char host[64];
    double seconds = atof(argv[6]);
    int port;

    for (int i = 0; i < 3; i++)
        if (strcmp(argv[2], protocols[i]) == 0) load.protocol = (enum protocol)i;
    if (sscanf(argv[3], "%63[^:]:%d", host, &port) != 2) fail(argv[3]);
    load.connection_count = strtoul(argv[4], NULL, 10);
    load.depth = strtoul(argv[5], NULL, 10);
    load.is_once = seconds == 0;
    if (load.connection_count < 1 || load.connection_count > CONNECTIONS_MAX || load.depth < 1 ||
        load.depth > DEPTH_MAX)
        fail("CONNECTIONS or DEPTH");
    read_requests(argv[7]);
    load.connections = calloc(load.connection_count, sizeof *load.connections);
    load.samples_us = malloc(SAMPLES_MAX * sizeof *load.samples_us);
    load.read_buffer = malloc(READ_BYTES);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!load.connections || !load.samples_us || !load.read_buffer) fail("no memory");
    for (size_t i = 0; i < load.connection_count; i++)
        open_connection(&load.connections[i], host, port, load.connection_count == 1);
    double cpu = cpu_seconds();
    uint64_t begin = now_ns();
    drive(begin + (uint64_t)(seconds * 1e9));
    print_samples(load.samples_us, load.answers, (double)(now_ns() - begin) * 1e-9,
                  cpu_seconds() - cpu);
    printf("failed %zu\n", load.failed);
    return 0;
}

/* ---- echo ---- */

/* Caller and server on different processors, where there are two: on one the answer is there
 * without a wake-up, and on which they are is the scheduler's whim. */
static void stay_on(size_t processor)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

struct echo {
    int listener;
    size_t request_bytes, answer_bytes;
};

static bool receive_all(int fd, char *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = recv(fd, bytes + done, size - done, 0);
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

static void *serve_echo(void *ctx)
{
    struct echo *e = ctx;
    int one = 1, fd = accept(e->listener, NULL, NULL);
    char *bytes = calloc(1, e->request_bytes + e->answer_bytes);

    stay_on(1);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (receive_all(fd, bytes, e->request_bytes))
        if (send(fd, bytes, e->answer_bytes, MSG_NOSIGNAL) < 0) break;
    free(bytes);
    close(fd);
    return NULL;
}

static int run_echo(size_t request_bytes, size_t answer_bytes, double seconds)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_bytes = sizeof address;
    struct echo e = {socket(AF_INET, SOCK_STREAM, 0), request_bytes, answer_bytes};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    char *bytes = calloc(1, request_bytes + answer_bytes);
    float *samples = malloc(SAMPLES_MAX * sizeof *samples);
    pthread_t thread;
    size_t count = 0;

    stay_on(0);
    if (!bytes || !samples || bind(e.listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(e.listener, 1) != 0 ||
        getsockname(e.listener, (struct sockaddr *)&address, &address_bytes) != 0 ||
        pthread_create(&thread, NULL, serve_echo, &e) != 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("echo");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    double cpu = cpu_seconds();
    uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9), at = begin;
    while (at < end) {
        if (send(fd, bytes, request_bytes, MSG_NOSIGNAL) < 0) fail("send");
        if (!receive_all(fd, bytes, answer_bytes)) fail("recv");
        uint64_t now = now_ns();
        samples[count++ % SAMPLES_MAX] = (float)(now - at) * 1e-3f;
        at = now;
    }
    print_samples(samples, count, (double)(at - begin) * 1e-9, cpu_seconds() - cpu);
    close(fd);
    pthread_join(thread, NULL);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 8 && strcmp(argv[1], "load") == 0) return run_load(argv);
    if (argc == 5 && strcmp(argv[1], "echo") == 0)
        return run_echo(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10), atof(argv[4]));
    fprintf(stderr, "usage: bench_server load rpc|http|redis HOST:PORT CONNECTIONS DEPTH SECONDS "
                    "FILE\n       bench_server echo REQUEST_BYTES ANSWER_BYTES SECONDS\n");
    return 2;
}
