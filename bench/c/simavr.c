/* Runs an image on libsimavr for so many emulated seconds, and prints the milliseconds of a processor that each has taken. */
#define _GNU_SOURCE
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_hex.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    avr_t *avr = avr_make_mcu_by_name("atmega328p");
    if (!avr) return 1;
    avr_init(avr);
    avr->frequency = 16000000;
    uint32_t size, start, flags = 0;
    uint8_t *code = read_ihex_file(argv[1], &size, &start);
    if (!code) return 1;
    avr_loadcode(avr, code, size, start);
    avr->codeend = avr->flashend;
    avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
    flags &= ~(AVR_UART_FLAG_STDIO | AVR_UART_FLAG_POLL_SLEEP);
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    const int seconds = atoi(argv[2]);
    const avr_cycle_count_t end = 16000000ULL * seconds;
    const double before = now();
    while (avr->cycle < end) avr_run(avr);
    printf("%f\n", (now() - before) / seconds);
    return 0;
}
