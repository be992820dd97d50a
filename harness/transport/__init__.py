"""Bytes in, bytes out. A transport knows no frames; it says in words what went wrong with the line.

base         what the device needs from a line
pipes        an emulator's or a process's standard input and output
serial_port  any URL that pyserial opens
faulty       a line that errs on purpose; fault_rates says how often
paced        a line at the pace of a UART
recording    a line that is written down as it goes; link_record is the file
ports, usb   which ports and USB devices this machine has; rights: who may use them
"""
