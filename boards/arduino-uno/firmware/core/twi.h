/* What the i2c class needs of a controller. A port implements it. */
#ifndef DIRQL_TWI_H
#define DIRQL_TWI_H

#include <stdint.h>

enum twi_result { TWI_RUNS, TWI_DONE, TWI_NACK_ADDRESS, TWI_NACK_DATA, TWI_TIMEOUT, TWI_STUCK, TWI_ABORTED };

/* Takes the pins at `speed_khz`, or lets go of them when that is 0. */
void twi_setup(uint16_t speed_khz);
/*
 * Begins a transaction: writes `written` bytes of `bytes`, then reads `to_read` bytes into `bytes`, from its begin on. With
 * both 0 the address alone is sent, for writing. `bytes` belongs to the controller until twi_poll gives a result.
 */
void twi_begin(uint8_t address, uint8_t *bytes, uint8_t written, uint8_t to_read, uint16_t timeout_ms);
/* How the transaction, or the recovery, went; TWI_RUNS while it does. Each result is given once. */
enum twi_result twi_poll(void);
/* Ends the transaction behind the byte that is under way; twi_poll gives the result. */
void twi_abort(void);
/* Nine clocks with SDA free, then STOP; twi_poll gives TWI_DONE, or TWI_STUCK when a line is still low. */
void twi_recover(void);

#endif
