/**
 * V8 puts functions into each other up to a bound of their size, and the way of an interrupt through the kernel is
 * longer. With three times that bound it takes half the time. For processes of our own (decision 0046).
 */
export const V8_OPTION = '--max-inlined-bytecode-size-cumulative=3000'
