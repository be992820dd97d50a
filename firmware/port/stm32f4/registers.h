// The few registers of an STM32F4 and its Cortex-M4 that this port touches, each with the section that defines it.
//
// RM0390 is ST's reference manual of the STM32F446. RM0383 (STM32F411) and RM0368 (STM32F401) have all of these at the
// same addresses with the same bits; over-drive and the PLL's R are the STM32F446's alone, and reserved there. What
// else differs is in chip.h of each board (firmware/boards). ARMv7-M is Arm's architecture reference manual (DDI
// 0403E).
#ifndef REGISTERS_H
#define REGISTERS_H

#include <stdint.h>

#ifndef REG32 // a test puts simulated registers here
#define REG32(address) (*(volatile uint32_t *)(uintptr_t)(address))
#endif

// Flash interface: RM0390 3.8
#define FLASH_ACR REG32(0x40023C00u) // 3.8.1
#define FLASH_ACR_LATENCY_MASK 0xFu
#define FLASH_ACR_PRFTEN (1u << 8)
#define FLASH_ACR_ICEN (1u << 9)
#define FLASH_ACR_DCEN (1u << 10)
#define FLASH_ACR_DCRST (1u << 12)
#define FLASH_KEYR REG32(0x40023C04u) // 3.8.2
#define FLASH_KEY1 0x45670123u
#define FLASH_KEY2 0xCDEF89ABu
#define FLASH_SR REG32(0x40023C0Cu) // 3.8.4
#define FLASH_SR_ERRORS (0x1F2u)    // RDERR, PGSERR, PGPERR, PGAERR, WRPERR, OPERR; cleared by writing 1
#define FLASH_SR_BSY (1u << 16)
#define FLASH_CR REG32(0x40023C10u) // 3.8.5
#define FLASH_CR_PG (1u << 0)
#define FLASH_CR_SER (1u << 1)
#define FLASH_CR_SNB(sector) ((uint32_t)(sector) << 3)
#define FLASH_CR_PSIZE_32 (2u << 8)
#define FLASH_CR_STRT (1u << 16)
#define FLASH_CR_LOCK (1u << 31)

// Power controller: RM0390 5.4
#define PWR_CR REG32(0x40007000u)                   // 5.4.1
#define PWR_CR_VOS(scale) ((uint32_t)(scale) << 14) // what the numbers mean differs: chip.h
#define PWR_CR_ODEN (1u << 16)
#define PWR_CR_ODSWEN (1u << 17)
#define PWR_CSR REG32(0x40007004u) // 5.4.2
#define PWR_CSR_ODRDY (1u << 16)
#define PWR_CSR_ODSWRDY (1u << 17)

// Reset and clock control: RM0390 6.3
#define RCC_CR REG32(0x40023800u) // 6.3.1
#define RCC_CR_HSION (1u << 0)
#define RCC_CR_HSIRDY (1u << 1)
#define RCC_CR_HSEON (1u << 16)
#define RCC_CR_HSERDY (1u << 17)
#define RCC_CR_HSEBYP (1u << 18)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)
#define RCC_PLLCFGR REG32(0x40023804u) // 6.3.2
#define RCC_PLLCFGR_M(divide) ((uint32_t)(divide) << 0)
#define RCC_PLLCFGR_N(multiply) ((uint32_t)(multiply) << 6)
#define RCC_PLLCFGR_P(divide) (((uint32_t)(divide) / 2u - 1u) << 16)
#define RCC_PLLCFGR_SRC_HSI (0u << 22)
#define RCC_PLLCFGR_SRC_HSE (1u << 22)
#define RCC_PLLCFGR_Q(divide) ((uint32_t)(divide) << 24)
#define RCC_PLLCFGR_R(divide) ((uint32_t)(divide) << 28)
#define RCC_CFGR REG32(0x40023808u) // 6.3.3
#define RCC_CFGR_SW_MASK (3u << 0)
#define RCC_CFGR_SW_HSI (0u << 0)
#define RCC_CFGR_SW_PLL (2u << 0)
#define RCC_CFGR_SWS_MASK (3u << 2)
#define RCC_CFGR_SWS_SHIFT 2 // SWS repeats SW, two bits higher, once the switch is done
#define RCC_CFGR_PPRE1_DIV2 (4u << 10)
#define RCC_CFGR_PPRE1_DIV4 (5u << 10)
#define RCC_CFGR_PPRE2_DIV2 (4u << 13)
#define RCC_AHB1ENR REG32(0x40023830u) // 6.3.10
#define RCC_AHB1ENR_GPIOAEN (1u << 0)
#define RCC_APB1ENR REG32(0x40023840u) // 6.3.13
#define RCC_APB1ENR_TIM2EN (1u << 0)
#define RCC_APB1ENR_USART2EN (1u << 17)
#define RCC_APB1ENR_PWREN (1u << 28)

#define RCC_CSR REG32(0x40023874u) // 6.3.21
#define RCC_CSR_RMVF (1u << 24)    // clears the flags above it
#define RCC_CSR_FLAGS_SHIFT 25     // BOR, PIN, POR, SFT, IWDG, WWDG, LPWR
#define RCC_CSR_FLAGS_MASK (0x7Fu)

// GPIO port A: RM0390 7.4
#define GPIOA_MODER REG32(0x40020000u) // 7.4.1, two bits a pin
#define GPIO_MODER_MASK(pin) (3u << (2u * (pin)))
#define GPIO_MODER_ALTERNATE(pin) (2u << (2u * (pin)))
#define GPIOA_PUPDR REG32(0x4002000Cu) // 7.4.4, two bits a pin
#define GPIO_PUPDR_MASK(pin) (3u << (2u * (pin)))
#define GPIO_PUPDR_UP(pin) (1u << (2u * (pin)))
#define GPIOA_AFRL REG32(0x40020020u) // 7.4.9, four bits a pin, pins 0 to 7
#define GPIO_AFRL_MASK(pin) (0xFu << (4u * (pin)))
#define GPIO_AFRL_AF(pin, function) ((uint32_t)(function) << (4u * (pin)))

// Independent watchdog: RM0390 20.4
#define IWDG_KR REG32(0x40003000u) // 20.4.1
#define IWDG_KR_FEED 0xAAAAu
#define IWDG_KR_UNLOCK 0x5555u
#define IWDG_KR_START 0xCCCCu
#define IWDG_PR REG32(0x40003004u) // 20.4.2
#define IWDG_PR_DIV64 4u
#define IWDG_RLR REG32(0x40003008u) // 20.4.3
#define IWDG_SR REG32(0x4000300Cu)  // 20.4.4: PVU and RVU, while the values above are on their way

// Position of USART2 in the vector table: RM0390 10.1, table of vectors
#define USART2_IRQ 38u
#define IRQ_COUNT 97u // positions 0 to 96; the other chips have fewer

// TIM2: RM0390 17.4
#define TIM2_CR1 REG32(0x40000000u) // 17.4.1
#define TIM_CR1_CEN (1u << 0)
#define TIM2_CNT REG32(0x40000024u) // 17.4.10

// USART2: RM0390 25.6
#define USART2_SR REG32(0x40004400u) // 25.6.1
#define USART_SR_PE (1u << 0)
#define USART_SR_FE (1u << 1)
#define USART_SR_NF (1u << 2)
#define USART_SR_ORE (1u << 3)
#define USART_SR_RXNE (1u << 5)
#define USART_SR_TC (1u << 6)
#define USART_SR_TXE (1u << 7)
#define USART2_DR REG32(0x40004404u)  // 25.6.2
#define USART2_BRR REG32(0x40004408u) // 25.6.3
#define USART2_CR1 REG32(0x4000440Cu) // 25.6.4
#define USART_CR1_RE (1u << 2)
#define USART_CR1_TE (1u << 3)
#define USART_CR1_RXNEIE (1u << 5)
#define USART_CR1_TXEIE (1u << 7)
#define USART_CR1_UE (1u << 13)

// Who the chip is: RM0390 33.6.1 and 34.1
#define DBGMCU_IDCODE REG32(0xE0042000u)
#define DBGMCU_IDCODE_DEV_ID_MASK 0xFFFu
#define DBGMCU_APB1_FZ REG32(0xE0042008u) // 33.16.4
#define DBGMCU_APB1_FZ_IWDG_STOP (1u << 12)
#define UNIQUE_ID_ADDRESS 0x1FFF7A10u

// Cortex-M4: ARMv7-M
#define DWT_CTRL REG32(0xE0001000u) // C1.8.7
#define DWT_CTRL_CYCCNTENA (1u << 0)
#define DWT_CYCCNT REG32(0xE0001004u) // C1.8.8
#define SYST_CSR REG32(0xE000E010u)   // B3.3.3
#define SYST_CSR_ENABLE (1u << 0)
#define SYST_CSR_TICKINT (1u << 1)
#define SYST_CSR_CORE_CLOCK (1u << 2)
#define SYST_RVR REG32(0xE000E014u) // B3.3.4
#define SYST_RVR_MOST 0xFFFFFFu
#define SYST_CVR REG32(0xE000E018u)                            // B3.3.5
#define NVIC_ISER(irq) REG32(0xE000E100u + 4u * ((irq) / 32u)) // B3.4.4
#define NVIC_ISPR(irq) REG32(0xE000E200u + 4u * ((irq) / 32u)) // B3.4.6
#define NVIC_BIT(irq) (1u << ((irq) % 32u))
#define SCB_CPUID REG32(0xE000ED00u) // B3.2.3
#define SCB_ICSR REG32(0xE000ED04u)  // B3.2.4
#define SCB_ICSR_PENDSTCLR (1u << 25)
#define SCB_VTOR REG32(0xE000ED08u)  // B3.2.5
#define SCB_AIRCR REG32(0xE000ED0Cu) // B3.2.6
#define SCB_AIRCR_VECTKEY (0x05FAu << 16)
#define SCB_AIRCR_SYSRESETREQ (1u << 2)
#define SCB_CCR REG32(0xE000ED14u) // B3.2.8
#define SCB_CCR_DIV_0_TRP (1u << 4)
#define SCB_SHCSR REG32(0xE000ED24u) // B3.2.13
#define SCB_SHCSR_MEMFAULTENA (1u << 16)
#define SCB_SHCSR_BUSFAULTENA (1u << 17)
#define SCB_SHCSR_USGFAULTENA (1u << 18)
#define SCB_CFSR REG32(0xE000ED28u) // B3.2.15
#define SCB_CFSR_MSTKERR (1u << 4)
#define SCB_CFSR_MMARVALID (1u << 7)
#define SCB_CFSR_MEMORY_BITS 0x000000FFu
#define SCB_CFSR_BUS_BITS 0x0000FF00u
#define SCB_CFSR_STKERR (1u << 12)
#define SCB_CFSR_USAGE_BITS 0xFFFF0000u
#define SCB_HFSR REG32(0xE000ED2Cu)  // B3.2.16
#define SCB_MMFAR REG32(0xE000ED34u) // B3.2.18
#define SCB_BFAR REG32(0xE000ED38u)  // B3.2.19
#define SCB_CPACR REG32(0xE000ED88u) // B3.2.20
#define SCB_CPACR_CP10_CP11_FULL (0xFu << 20)
#define MPU_TYPE REG32(0xE000ED90u) // B3.5.4
#define MPU_TYPE_DREGION_MASK (0xFFu << 8)
#define MPU_CTRL REG32(0xE000ED94u) // B3.5.5
#define MPU_CTRL_ENABLE (1u << 0)
#define MPU_CTRL_PRIVDEFENA (1u << 2)
#define MPU_RBAR REG32(0xE000ED9Cu) // B3.5.7
#define MPU_RBAR_VALID (1u << 4)
#define MPU_RASR REG32(0xE000EDA0u) // B3.5.8
#define MPU_RASR_ENABLE (1u << 0)
#define MPU_RASR_SIZE(log2_bytes) (((log2_bytes) - 1u) << 1)
#define MPU_RASR_NO_ACCESS (0u << 24)
#define MPU_RASR_XN (1u << 28)
#define DEMCR REG32(0xE000EDFCu) // C1.6.5
#define DEMCR_TRCENA (1u << 24)

#endif
