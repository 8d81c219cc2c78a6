/* What the gpio class needs of pins. A port implements it. Pin n is bit n of a mask. */
#ifndef DIRQL_PINS_H
#define DIRQL_PINS_H

#include <stdint.h>

#define PINS 20

/* In the order of their pins: pins that are interrupt lines of their own, behind `pins` in number; and those of these lines that are level-triggered. */
enum pin_active { PIN_LOW, PIN_HIGH, PIN_BOTH };
struct pin_line {
  uint8_t pin;
  enum pin_active active;
};
#define PIN_LINES 2
#define PIN_LEVEL_LINES 0x04 /* bit 0 is `pins` */
extern const struct pin_line pin_lines[PIN_LINES];

/* The pins that are there, and those of them that are pulled up when a session begins. */
extern const uint32_t pins_present, pins_pulled_up;

void pins_configure(uint32_t direction, uint32_t output, uint32_t pullup);
/* Edges that count from now on, against the levels of now. Those of `pin_lines` are not in the masks and always count. */
void pins_watch(uint32_t rising, uint32_t falling);
uint32_t pins_levels(void);
/* Whether any pin had one that was not taken. */
uint8_t pins_have_edges(void);
/* Edges of a pin since the last call. */
uint16_t pins_take_edges(uint8_t pin);
/* Board time of the newest edge of `pins_watch`; to be asked within 30 ms of it. */
uint32_t pins_edge_micros(void);

#endif
