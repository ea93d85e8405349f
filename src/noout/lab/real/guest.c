/* The whole of a guest, as its process 1: a service to probe, memory that it rewrites, and a check of that memory.
 *
 * UDP 7      "SEQ"    -> "SEQ COUNTER BOOT"
 * TCP 7      "SEQ\n"  -> "SEQ COUNTER BOOT\n", as long as the connection lives
 * TCP 80     GET /            the state as JSON
 *            GET /dirty/N     rewrite N MiB of memory a second from now on
 *            GET /check       read every page that was ever written; "lost" counts pages without their last write
 *                             and every block of the disk, where there is one (/dev/vda): "disk_lost" likewise
 *            GET /spoil       lose one write on purpose, to see that the check would find it
 *
 * COUNTER grows by one with every answer, BOOT is drawn once a boot: a guest that was restarted, or that runs twice,
 * gives itself away. Environment (from the kernel's command line): guest_address, arena_mib.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WORDS 512 /* of eight bytes: one page */
#define CLIENTS 256
#define BLOCKS 256 /* of 4 KiB: what it writes to its disk, one after the other and then anew */
#define BLOCK 4096
#define DISK_EVERY_US 200000

static pthread_mutex_t arena_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t (*arena)[WORDS];
static uint64_t pages, cursor, pass = 1, written, lost;
static volatile uint64_t rate_mib;
static uint64_t counter, boot;

static pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t on_disk[BLOCKS], disk_written, disk_lost, disk_errors;
static int disk = -1;

/* virtio_ring goes before virtio: the latter needs its symbols. */
static const char *const modules[] = {"virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev",
                                      "virtio_pci", "failover", "net_failover", "virtio_net", "virtio_blk"};

static void die(const char *what) {
    printf("guest: %s: %s\n", what, strerror(errno));
    fflush(stdout);
    reboot(RB_POWER_OFF);
    for (;;) pause();
}

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void sleep_us(long us) {
    struct timespec span = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&span, NULL);
}

/* --- memory --------------------------------------------------------------------------------------------------- */

static uint64_t stamp(uint64_t of_pass, uint64_t page) { return of_pass ? of_pass << 32 | (page + 1) : 0; }

static int holds(uint64_t page, uint64_t of_pass) {
    for (int i = 0; i < WORDS; i++)
        if (arena[page][i] != stamp(of_pass, page)) return 0;
    return 1;
}

/* Look whether the next page still has what the last pass wrote, and write this pass's. */
static void rewrite_next(void) {
    pthread_mutex_lock(&arena_lock);
    if (!holds(cursor, pass - 1)) lost++;
    for (int i = 0; i < WORDS; i++) arena[cursor][i] = stamp(pass, cursor);
    written++;
    if (++cursor == pages) cursor = 0, pass++;
    pthread_mutex_unlock(&arena_lock);
}

static void check_all(void) {
    pthread_mutex_lock(&arena_lock);
    for (uint64_t page = 0; page < pages; page++)
        if (!holds(page, page < cursor ? pass : pass - 1)) lost++;
    pthread_mutex_unlock(&arena_lock);
}

/* The page written last gets back what it held a pass before: just what a migration that loses a write leaves. */
static void spoil_one(void) {
    pthread_mutex_lock(&arena_lock);
    uint64_t page = (cursor ? cursor : pages) - 1, of_pass = (cursor ? pass : pass - 1) - 1;
    for (int i = 0; i < WORDS; i++) arena[page][i] = stamp(of_pass, page);
    pthread_mutex_unlock(&arena_lock);
}

static void *rewrite(void *unused) {
    int64_t last = now_us();
    double due = 0;
    for (;;) {
        sleep_us(5000);
        int64_t now = now_us();
        due += (now - last) * 1e-6 * rate_mib * 256;
        last = now;
        if (due > rate_mib * 256 * 0.05) due = rate_mib * 256 * 0.05; /* what was missed is not made up in a burst */
        for (; due >= 1; due--) rewrite_next();
    }
    return unused;
}

/* --- disk ----------------------------------------------------------------------------------------------------- */

/* Each block holds its number of the write, in every word; written past every cache, and there when write() returns. */
static int block_holds(uint64_t *words, uint64_t block) {
    if (pread(disk, words, BLOCK, block * BLOCK) != BLOCK) return disk_errors++, 1;
    for (int i = 0; i < BLOCK / 8; i++)
        if (words[i] != on_disk[block]) return 0;
    return 1;
}

static void *write_disk(void *unused) {
    static uint64_t words[BLOCK / 8] __attribute__((aligned(BLOCK)));
    for (;; sleep_us(DISK_EVERY_US)) {
        pthread_mutex_lock(&disk_lock);
        uint64_t block = disk_written % BLOCKS;
        if (on_disk[block] && !block_holds(words, block)) disk_lost++;
        for (int i = 0; i < BLOCK / 8; i++) words[i] = disk_written + 1;
        if (pwrite(disk, words, BLOCK, block * BLOCK) == BLOCK) on_disk[block] = ++disk_written;
        else disk_errors++;
        pthread_mutex_unlock(&disk_lock);
    }
    return unused;
}

static void check_disk(void) {
    static uint64_t words[BLOCK / 8] __attribute__((aligned(BLOCK)));
    if (disk < 0) return;
    pthread_mutex_lock(&disk_lock);
    for (uint64_t block = 0; block < BLOCKS; block++)
        if (on_disk[block] && !block_holds(words, block)) disk_lost++;
    pthread_mutex_unlock(&disk_lock);
}

/* --- the service ---------------------------------------------------------------------------------------------- */

static int answer(const char *asked, char *out, size_t size) {
    return snprintf(out, size, "%llu %llu %016llx", strtoull(asked, NULL, 10), (unsigned long long)++counter,
                    (unsigned long long)boot);
}

static void serve_http(int client, const char *asked) {
    char body[384], out[640];
    if (!strncmp(asked, "GET /dirty/", 11)) rate_mib = strtoull(asked + 11, NULL, 10);
    if (!strncmp(asked, "GET /spoil", 10)) spoil_one();
    if (!strncmp(asked, "GET /check", 10)) check_all(), check_disk();
    int size = snprintf(body, sizeof body,
                        "{\"counter\": %llu, \"boot\": \"%016llx\", \"arena_pages\": %llu, \"pages_written\": %llu, "
                        "\"dirty_mib_per_s\": %llu, \"lost\": %llu, \"disk_writes\": %llu, \"disk_lost\": %llu, "
                        "\"disk_errors\": %llu}\n",
                        (unsigned long long)++counter, (unsigned long long)boot, (unsigned long long)pages,
                        (unsigned long long)written, (unsigned long long)rate_mib, (unsigned long long)lost,
                        (unsigned long long)disk_written, (unsigned long long)disk_lost,
                        (unsigned long long)disk_errors);
    int all = snprintf(out, sizeof out, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, body);
    send(client, out, all, MSG_NOSIGNAL);
}

/* 0 when the connection is over. */
static int serve_client(int client, int http) {
    char asked[512], out[128];
    ssize_t got = recv(client, asked, sizeof asked - 1, 0);
    if (got <= 0) return 0;
    asked[got] = 0;
    if (http) {
        serve_http(client, asked);
        return 0;
    }
    for (char *line = asked, *end; (end = strchr(line, '\n')); line = end + 1) {
        int size = answer(line, out, sizeof out - 1);
        out[size++] = '\n';
        if (send(client, out, size, MSG_NOSIGNAL) < 0) return 0;
    }
    return 1;
}

static void serve_udp(int udp) {
    char asked[64], out[128];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t got = recvfrom(udp, asked, sizeof asked - 1, 0, (struct sockaddr *)&from, &size);
    if (got <= 0) return;
    asked[got] = 0;
    sendto(udp, out, answer(asked, out, sizeof out), 0, (struct sockaddr *)&from, size);
}

static int bound(int type, int port) {
    int fd = socket(AF_INET, type, 0), one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at)) die("bind");
    if (type == SOCK_STREAM && listen(fd, 128)) die("listen");
    return fd;
}

static void serve(void) {
    struct pollfd fds[3 + CLIENTS] = {{bound(SOCK_DGRAM, 7), POLLIN, 0},
                                      {bound(SOCK_STREAM, 7), POLLIN, 0},
                                      {bound(SOCK_STREAM, 80), POLLIN, 0}};
    int http[3 + CLIENTS] = {0};
    for (int i = 3; i < 3 + CLIENTS; i++) fds[i] = (struct pollfd){-1, POLLIN, 0};
    printf("guest: ready\n");
    fflush(stdout);
    for (;;) {
        if (poll(fds, 3 + CLIENTS, -1) < 0) continue;
        if (fds[0].revents) serve_udp(fds[0].fd);
        for (int i = 3; i < 3 + CLIENTS; i++)
            if (fds[i].fd >= 0 && fds[i].revents && !serve_client(fds[i].fd, http[i])) {
                close(fds[i].fd);
                fds[i].fd = -1;
            }
        for (int door = 1; door <= 2; door++) {
            if (!fds[door].revents) continue;
            int client = accept(fds[door].fd, NULL, NULL), free = 3;
            while (free < 3 + CLIENTS && fds[free].fd >= 0) free++;
            if (client >= 0 && free == 3 + CLIENTS) close(client);
            else if (client >= 0) fds[free].fd = client, http[free] = door == 2;
        }
    }
}

/* --- the start ------------------------------------------------------------------------------------------------ */

static void load_modules(void) {
    char path[64];
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        snprintf(path, sizeof path, "/%s.ko", modules[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) continue; /* built in, or not known to this kernel */
        if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST) die(path);
        close(fd);
    }
}

static void join_network(void) {
    const char *address = getenv("guest_address");
    struct ifreq set = {.ifr_name = "eth0"};
    struct sockaddr_in *in = (struct sockaddr_in *)&set.ifr_addr;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (int i = 0; i < 500 && ioctl(fd, SIOCGIFFLAGS, &set); i++) sleep_us(10000);
    in->sin_family = AF_INET;
    inet_aton(address ? address : "10.77.0.10", &in->sin_addr);
    if (ioctl(fd, SIOCSIFADDR, &set)) die("address");
    inet_aton("255.255.255.0", &in->sin_addr);
    if (ioctl(fd, SIOCSIFNETMASK, &set)) die("netmask");
    set.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &set)) die("eth0 up");
    close(fd);
}

int main(void) {
    pthread_t thread;
    const char *mib = getenv("arena_mib");
    printf("guest: starts\n");
    fflush(stdout);
    load_modules();
    join_network();
    if (getrandom(&boot, sizeof boot, GRND_NONBLOCK) != sizeof boot) boot = now_us() * 2654435761u;
    pages = strtoull(mib ? mib : "32", NULL, 10) * 256;
    arena = mmap(NULL, pages * sizeof *arena, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED) die("memory");
    for (uint64_t i = 0; i < pages; i++) rewrite_next(); /* all of it is there before anyone measures */
    if (pthread_create(&thread, NULL, rewrite, NULL)) die("thread");
    if (!mount("devtmpfs", "/dev", "devtmpfs", 0, NULL)) disk = open("/dev/vda", O_RDWR | O_DIRECT | O_SYNC);
    if (disk >= 0 && pthread_create(&thread, NULL, write_disk, NULL)) die("thread");
    serve();
}
