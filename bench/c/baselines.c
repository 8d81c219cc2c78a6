/* What C does for the same purpose. Each command prints one figure, or one a line, in nanoseconds. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long rounds;
static long count; /* guarded by what is measured */
static pthread_spinlock_t spin;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t ping, pong;
static pthread_barrier_t start;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static void *spin_side(void *unused)
{
    pthread_barrier_wait(&start);
    for (long round = 0; round < rounds; round++) {
        pthread_spin_lock(&spin);
        count++;
        pthread_spin_unlock(&spin);
    }
    return unused;
}

static void *rwlock_side(void *every)
{
    volatile long seen = 0;
    pthread_barrier_wait(&start);
    for (long round = 0; round < rounds; round++) {
        if (round % (long)every == 0) {
            pthread_rwlock_wrlock(&rwlock);
            count++;
        } else {
            pthread_rwlock_rdlock(&rwlock);
            seen = count;
        }
        pthread_rwlock_unlock(&rwlock);
    }
    (void)seen;
    return every;
}

static void *semaphore_side(void *begins)
{
    sem_t *mine = begins ? &pong : &ping, *other = begins ? &ping : &pong;
    pthread_barrier_wait(&start);
    if (begins)
        sem_post(other);
    for (long round = 0; round < rounds; round++) {
        sem_wait(mine);
        count++;
        sem_post(other);
    }
    return begins;
}

/* Nanoseconds a round; `sides` threads do `rounds` each. */
static double run(int sides, void *(*side)(void *), void *first, void *second)
{
    pthread_t threads[2];
    void *arguments[2] = {first, second};
    pthread_barrier_init(&start, NULL, sides + 1);
    for (int index = 0; index < sides; index++)
        pthread_create(&threads[index], NULL, side, arguments[index]);
    pthread_barrier_wait(&start);
    double begin = now();
    for (int index = 0; index < sides; index++)
        pthread_join(threads[index], NULL);
    return (now() - begin) / (rounds * sides);
}

static _Atomic int bell, answered;
static volatile double heard;

static void futex(_Atomic int *word, int operation, int value)
{
    syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

static void *sleeper(void *unused)
{
    for (long round = 1; round <= rounds; round++) {
        while (atomic_load(&bell) < round)
            futex(&bell, FUTEX_WAIT_PRIVATE, round - 1);
        heard = now();
        atomic_store(&answered, round);
    }
    return unused;
}

/* Wakes a thread that sleeps; one latency a line. */
static void wake(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, sleeper, NULL);
    for (long round = 1; round <= rounds; round++) {
        for (double until = now() + 100e3; now() < until;)
            ;
        double begin = now();
        atomic_store(&bell, round);
        futex(&bell, FUTEX_WAKE_PRIVATE, 1);
        while (atomic_load(&answered) < round)
            ;
        printf("%.0f\n", heard - begin);
    }
    pthread_join(thread, NULL);
}

static int finish(double figure, long expected)
{
    if (count != expected) {
        fprintf(stderr, "the count is %ld and not %ld\n", count, expected);
        return 1;
    }
    printf("%f\n", figure);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    const char *what = argv[1];
    rounds = atol(argv[2]);
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    if (strcmp(what, "spin") == 0)
        return finish(run(1, spin_side, NULL, NULL), rounds);
    if (strcmp(what, "spin-contended") == 0)
        return finish(run(2, spin_side, NULL, NULL), rounds * 2);
    if (strcmp(what, "rwlock") == 0)
        return finish(run(1, rwlock_side, (void *)1, NULL), rounds);
    if (strcmp(what, "rwlock-mostly") == 0)
        return finish(run(2, rwlock_side, (void *)100, (void *)100), (rounds + 99) / 100 * 2);
    if (strcmp(what, "semaphores") == 0) {
        sem_init(&ping, 0, 0);
        sem_init(&pong, 0, 0);
        return finish(run(2, semaphore_side, (void *)1, NULL), rounds * 2);
    }
    if (strcmp(what, "wake") == 0) {
        wake();
        return 0;
    }
    return 2;
}
