"""What a run leaves behind: one record, and all that is made of it.

record           the record, and the saved arrays; record.schema.json describes it; timing: its ticks; fpscr: its FPU
baselines        what a baseline holds of a model, and its file
terminal         what a person sees of it: tensor_table, reasons beside the numbers, progress before them
folder           the folder of a report: page, junit, the record, vectors, the arrays
page             the page; pictures chooses what is drawn, curves gives its numbers, figures draws, svg puts it in
testcase         what a test's report says
text             text of others on its way into all this
"""
