#include "uart.h"

#include <avr/interrupt.h>
#include <avr/io.h>

#include "wake.h"

/*
 * Powers of two: an index is masked. RX_ROOM holds what comes while a frame is made, at 1 Mbaud. A
 * larger TX_ROOM would only make acknowledgements older.
 */
#define RX_ROOM 128
#define TX_ROOM 32

/* Each index has one writer (interrupt or main loop), and bytes are read whole: no lock is needed. */
static volatile uint8_t rx[RX_ROOM];
static volatile uint8_t rx_put, rx_taken;
static volatile uint8_t tx[TX_ROOM];
static volatile uint8_t tx_put, tx_taken;

void uart_start(void)
{
  /* Double speed: the smallest error at 115200 (2.1 %), and exact at 1 Mbaud. */
  UCSR0A = _BV(U2X0);
  UBRR0 = (uint16_t)((F_CPU + BAUD * 4) / (BAUD * 8) - 1);
  UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
  UCSR0B = _BV(RXCIE0) | _BV(RXEN0) | _BV(TXEN0);
}

/* A byte that finds the ring full, or that the hardware lost, damages its line: the checksum tells. */
ISR(USART_RX_vect)
{
  const uint8_t byte = UDR0;
  const uint8_t put = rx_put;
  const uint8_t next = (put + 1) & (RX_ROOM - 1);
  if (next == rx_taken) return;
  rx[put] = byte;
  rx_put = next;
  if (byte == '\n') wake();
}

ISR(USART_UDRE_vect)
{
  const uint8_t taken = tx_taken;
  if (taken == tx_put) {
    UCSR0B &= (uint8_t)~_BV(UDRIE0);
    return;
  }
  UDR0 = tx[taken];
  tx_taken = (taken + 1) & (TX_ROOM - 1);
}

int16_t uart_read(void)
{
  const uint8_t taken = rx_taken;
  if (taken == rx_put) return -1;
  const uint8_t byte = rx[taken];
  rx_taken = (taken + 1) & (RX_ROOM - 1);
  return byte;
}

uint8_t uart_write(uint8_t byte)
{
  const uint8_t put = tx_put;
  const uint8_t next = (put + 1) & (TX_ROOM - 1);
  if (next == tx_taken) return 0;
  tx[put] = byte;
  tx_put = next;
  /* One instruction would need UCSR0B below 0x20, and the interrupt clears this bit. */
  const uint8_t before = SREG;
  cli();
  UCSR0B |= _BV(UDRIE0);
  SREG = before;
  return 1;
}
