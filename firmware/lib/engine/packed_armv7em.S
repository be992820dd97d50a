// The packed kernels for the Cortex-M4F. packed_twin.c is the same in C; packed.h has the stream and packed_lstm_t.
//
// A block: 12 sums (3 units, 4 gates) in s0 to s11; each column loads 12 weights into s12 to s23, multiplies them by
// one of 8 values of [h, x] in s24 to s31, and adds. Column 0 is a bare product, so that no sum has to be zeroed; the
// biases are added last, which rounds less. Then the activations, all in registers:
//   tanh by cubic interpolation in 256 intervals. Adding a large number rounds x to a multiple of the interval and
//   leaves the index in the low bits; QSUB and USAT clamp it, for |x| up to FLT_MAX. A NaN or an infinity makes the
//   distance from the interval's centre a NaN, which reaches h: one comparison per block finds it, and the block
//   is computed again with packed_careful_block.
//
// AAPCS: s16 to s31 and r4 to r11 are saved; nothing is assumed of FPSCR but round to nearest. No alignment beyond 4.
//
// r0  stream            r5  z, or 0           r9  where to go when no full block is left: rest, then done
// r1  [h, x]            r6  c                 r10 entry into the loop over columns
// r2  turns of it       r7  h                 r11 tanh_table
// r1 to r4 also table   r8  [h, x]            r12 index offset
//     entries                                 lr  units behind this block; negative: it has fewer than 3

    .syntax unified
    .cpu    cortex-m4
    .fpu    fpv4-sp-d16
    .eabi_attribute Tag_ABI_VFP_args, 1 // floats in FPU registers, as all C here
    .thumb

// packed_lstm_t, seen from r0 behind its first 4 fields
    .equ LSTM_Z, 20
    .equ LSTM_INDEX_OFFSET, 48
    .equ LSTM_H, 56
    .equ LSTM_UNITS, 60
    .equ LSTM_COLUMNS, 64
    .equ LSTM_SPARE, 68

// Stack behind s16 to s31
    .equ FRAME_LSTM, 64
    .equ FRAME_MAGIC, 68
    .equ FRAME_FIRST_LOAD, 72       // and turns
    .equ FRAME_HX0, 112

#include "packed_macros.inc"

    .macro kernel name, sets

    .section .text.\name, "ax", %progbits
    .balign 16                      // lines of the flash accelerator
    .global \name
    .type \name, %function
\name:
    ldmia   r0!, {r1, r2, r3, r12}
    ldr     r12, [r12]
    push    {r0-r12, lr}
    vpush   {s16-s31}
    ldmia   r0, {r0-r12, lr}
1:  vldmia  r1!, {s0-s15}           // x to its place; what is copied too much is slack
    subs    r3, r3, #16
    vstmia  r2!, {s0-s15}
    bgt     1b
    bx      r4                      // to the first block

    .balign 4
    .type .Lblock_\name, %function  // here and below: for the Thumb bit of its address
.Lblock_\name:
    ldrd    r1, r2, [sp, #FRAME_FIRST_LOAD]
    vldr    s24, [sp, #FRAME_HX0]
    vldmia  r0!, {s12-s23}
    products12 s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s24
    vldmia  r1!, {s24-s31}
    bx      r10

    .balign 4
    .type .Lloop_\name, %function
.Lloop_\name:
    .rept \sets
    columns12_by_8
    .endr
    subs    r2, r2, #1
    bne     .Lloop_\name

    vldmia  r0!, {s12-s23}          // biases
    sums12
    cbz     r5, 2f
    b       .Lkeep_z_\name
2:
    vldmia  r6, {s28-s30}
    vldr    s31, [sp, #FRAME_MAGIC]
    gates   s8, s9, s10, s11, s24, s25, s26, s27, s30, half=1
.Lunits_1_0_\name:
    gates   s4, s5, s6, s7, s8, s9, s10, s11, s29
.Lunit_0_\name:
    gates   s0, s1, s2, s3, s4, s5, s6, s7, s28

    // tanh(c) of three units
    vadd.f32 s12, s28, s31
    vadd.f32 s13, s29, s31
    vadd.f32 s14, s30, s31
    vmov    r1, r2, s12, s13
    vmov    r3, s14
    vsub.f32 s12, s12, s31
    vsub.f32 s13, s13, s31
    vsub.f32 s14, s14, s31
    qsub    r1, r1, r12
    qsub    r2, r2, r12
    qsub    r3, r3, r12
    usat    r1, #8, r1
    usat    r2, #8, r2
    usat    r3, #8, r3
    vsub.f32 s12, s28, s12
    vsub.f32 s13, s29, s13
    vsub.f32 s14, s30, s14
    add     r1, r11, r1, lsl #4
    add     r2, r11, r2, lsl #4
    add     r3, r11, r3, lsl #4
    vldmia  r1, {s16-s19}
    vldmia  r2, {s20-s23}
    vldmia  r3, {s0-s3}
    multiply_add3 s18, s19, s12, s22, s23, s13, s2, s3, s14
    multiply_add3 s17, s18, s12, s21, s22, s13, s1, s2, s14
    multiply_add3 s16, s17, s12, s20, s21, s13, s0, s1, s14
    // h = (tanh(c) + o tanh(c)) / 2
    multiply_add3 s16, s4, s16, s20, s8, s20, s0, s24, s0
    vmul.f32 s12, s16, s25
    vmul.f32 s13, s20, s25
    vmul.f32 s14, s0, s25
    vadd.f32 s15, s12, s13          // |h| <= 1: a NaN if and only if one of them is
    vcmp.f32 s15, s14               // unordered: one of three is a NaN
    vmrs    APSR_nzcv, fpscr
    bvs     .Lcareful_\name
    vstmia  r6!, {s28-s30}
    vstmia  r7!, {s12-s14}
.Lnext_\name:
    subs    lr, lr, #3
    bge     .Lblock_\name
    bx      r9

    .type .Ldone_\name, %function
.Ldone_\name:
    ldr     r0, [sp, #FRAME_LSTM]
    ldrd    r1, r3, [r0, #LSTM_H]
1:  vldmia  r1!, {s0-s15}           // what is copied too much is where x goes
    subs    r3, r3, #16
    vstmia  r8!, {s0-s15}
    bgt     1b
    vpop    {s16-s31}
    pop     {r0-r12, pc}

// Any functions: leave z to packed.c. A block to be done carefully: have it done.
.Lkeep_z_\name:
    vstmia  r5!, {s0-s11}
    ldr     r1, [sp, #FRAME_LSTM]
    ldr     r2, [r1, #LSTM_Z]
    cmp     r2, #0
    bne     .Lnext_\name
    push    {r0, lr}
    sub     r0, r1, #16
    sub     r1, r5, #48
    mov     r2, r6
    mov     r3, r7
    bl      packed_careful_block
    pop     {r0, lr}
    ldr     r1, [sp, #FRAME_LSTM]
    ldr     r12, [r1, #LSTM_INDEX_OFFSET]
    movs    r5, #0
    adds    r6, r6, #12
    adds    r7, r7, #12
    b       .Lnext_\name

// Back to the start of the block, which keeps its z now.
.Lcareful_\name:
    ldr     r1, [sp, #FRAME_LSTM]
    ldr     r2, [r1, #LSTM_COLUMNS]
    ldr     r5, [r1, #LSTM_SPARE]
    adds    r3, lr, #3
    cmp     r3, #3
    it      gt
    movgt   r3, #3                  // units of the block
    adds    r2, r2, #1
    muls    r2, r3, r2
    sub     r0, r0, r2, lsl #4
    cmp     lr, #0
    bge     .Lblock_\name

// The last block, of two units or one.
    .type .Lrest_\name, %function
.Lrest_\name:
    ldr     r2, [sp, #FRAME_LSTM]
    mov     r1, r8
    ldr     r2, [r2, #LSTM_COLUMNS]
    ldr     r9, =.Ldone_\name
    vldmia  r1!, {s24}
    cmp     lr, #-1
    bne     .Lrest_1_\name

    vldmia  r0!, {s12-s19}
    vmul.f32 s0, s12, s24
    vmul.f32 s1, s13, s24
    vmul.f32 s2, s14, s24
    vmul.f32 s3, s15, s24
    vmul.f32 s4, s16, s24
    vmul.f32 s5, s17, s24
    vmul.f32 s6, s18, s24
    vmul.f32 s7, s19, s24
    subs    r2, r2, #1
    ands    r3, r2, #3
    beq     3f
2:  column8                         // one by one, until the others are a multiple of 4
    subs    r3, r3, #1
    bne     2b
3:  lsrs    r2, r2, #2
    beq     5f
4:  vldmia  r1!, {s28-s31}
    vldmia  r0!, {s12-s27}
    rows8   s28, 12
    rows8   s29, 20
    vldmia  r0!, {s12-s27}
    rows8   s30, 12
    rows8   s31, 20
    subs    r2, r2, #1
    bne     4b
5:
    vldmia  r0!, {s12-s19}
    sums8
    cmp     r5, #0
    bne     .Lkeep_z_\name
    vldmia  r6, {s28-s30}
    vldr    s31, [sp, #FRAME_MAGIC]
    vmov.f32 s24, #1.0              // o of the unit that is not there: its c is 0
    vmov.f32 s25, #0.5
    b       .Lunits_1_0_\name

.Lrest_1_\name:
    vldmia  r0!, {s12-s15}
    vmul.f32 s0, s12, s24
    vmul.f32 s1, s13, s24
    vmul.f32 s2, s14, s24
    vmul.f32 s3, s15, s24
    lsrs    r2, r2, #1
    bcc     3f
2:  column4
3:  column4
    subs    r2, r2, #1
    bne     2b
    vldmia  r0!, {s12-s15}
    sums4
    cmp     r5, #0
    bne     .Lkeep_z_\name
    vldmia  r6, {s28-s30}
    vldr    s31, [sp, #FRAME_MAGIC]
    vmov.f32 s24, #1.0
    vmov.f32 s8, #1.0
    vmov.f32 s25, #0.5
    b       .Lunit_0_\name
    .ltorg
    .size \name, . - \name
    .endm

    .macro describe name, step, sets
    .section .rodata.\name, "a", %progbits
    .balign 4
    .global \name
    .type \name, %object
\name:
    .word   \step
    .word   .Lblock_\step
    .word   .Lrest_\step
    .word   .Ldone_\step
    .word   .Lloop_\step
    .word   8 * \sets
    .if FUSED
    .word   13 * 4
    .else
    .word   25 * 4
    .endif
    .size \name, . - \name
    .endm

    .set FUSED, 0
    kernel  packed_step_separate, 1 // 800 bytes: the loop stays in the 1 KB instruction cache of the flash accelerator
    describe kernel_packed, packed_step_separate, 1

    .set FUSED, 1
    kernel  packed_step_fused, 2    // 832 bytes
    describe kernel_packed_fma, packed_step_fused, 2
