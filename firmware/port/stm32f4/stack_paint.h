// What the stack is filled with at start: where it is gone, the stack has been.
#ifndef STACK_PAINT_H
#define STACK_PAINT_H

#define STACK_PAINT 0xA5A5A5A5u // no address, and no count or float that occurs here

#endif
