/* What bench/container.py is compared with: the same chunks, the same libsodium calls, one thread, no Python.

   chunks seal-memory|open-memory BYTES     prints seconds
   chunks seal-file|open-file SOURCE TARGET prints seconds */
#include <fcntl.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 1 << 18, TAG = 16, STEP = CHUNK + TAG };

static const unsigned char key[32] = {1};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static const unsigned char *nonce_of(uint64_t index, int final) {
    static unsigned char nonce[24];
    for (int i = 0; i < 8; i++) nonce[15 + i] = (unsigned char)(index >> (56 - 8 * i));
    nonce[23] = (unsigned char)final;
    return nonce;
}

static int in_memory(int opening, size_t size) {
    size_t count = size / CHUNK;
    unsigned char *plain = malloc(count * CHUNK), *sealed = malloc(count * STEP);
    if (!plain || !sealed) return 2;
    memset(plain, 7, count * CHUNK);
    memset(sealed, 7, count * STEP);
    for (int round = 0; round <= opening; round++) {
        double start = now();
        for (size_t i = 0; i < count; i++) {
            const unsigned char *nonce = nonce_of(i, i == count - 1);
            if (round ? crypto_secretbox_open_easy(plain + i * CHUNK, sealed + i * STEP, STEP, nonce, key)
                      : crypto_secretbox_easy(sealed + i * STEP, plain + i * CHUNK, CHUNK, nonce, key))
                return 3;
        }
        if (round == opening) printf("%.6f\n", now() - start);
    }
    return 0;
}

static int between_files(int opening, const char *from, const char *to) {
    int source = open(from, O_RDONLY), target = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    struct stat found;
    unsigned char *buffer = malloc(STEP);
    if (source < 0 || target < 0 || !buffer || fstat(source, &found)) return 2;
    size_t in = opening ? STEP : CHUNK;
    uint64_t count = ((uint64_t)found.st_size + in - 1) / in;
    double start = now();
    for (uint64_t i = 0; i < count; i++) {
        ssize_t got = read(source, buffer + (opening ? 0 : TAG), in);
        if (got <= (opening ? TAG - 1 : 0)) return 3;
        const unsigned char *nonce = nonce_of(i, i == count - 1);
        size_t out = opening ? (size_t)got - TAG : (size_t)got + TAG;
        if (opening ? crypto_secretbox_open_easy(buffer + TAG, buffer, (size_t)got, nonce, key)
                    : crypto_secretbox_easy(buffer, buffer + TAG, (size_t)got, nonce, key))
            return 4;
        if (write(target, buffer + (opening ? TAG : 0), out) != (ssize_t)out) return 5;
    }
    printf("%.6f\n", now() - start);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 3 || sodium_init() < 0) return 1;
    int opening = strncmp(argv[1], "open", 4) == 0;
    if (strstr(argv[1], "memory")) return in_memory(opening, strtoull(argv[2], NULL, 10));
    return argc == 4 ? between_files(opening, argv[2], argv[3]) : 1;
}
