/* The USART, by interrupt, with a ring each way. */
#ifndef DIRQL_AVR_UART_H
#define DIRQL_AVR_UART_H

#include <stdint.h>

void uart_start(void);
/* The next byte received, or -1. */
int16_t uart_read(void);
/* False when the ring is full: the caller keeps the byte. */
uint8_t uart_write(uint8_t byte);

#endif
