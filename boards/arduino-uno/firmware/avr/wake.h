/*
 * What an interrupt says that leaves work for the main loop: it must not sleep. A general purpose register that is set with
 * one instruction.
 */
#ifndef DIRQL_AVR_WAKE_H
#define DIRQL_AVR_WAKE_H

#include <avr/io.h>

#define WOKEN GPIOR0
#define wake() (GPIOR0 |= _BV(0))

#endif
