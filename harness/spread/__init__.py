"""Many jobs on several workers, each with a session of its own. What a job is, only who starts them knows.

here         in this process, one after the other
processes    over processes of this machine
cluster      over the workers of a dask cluster; scheduler: the connection to its scheduler; giving_up: what ends
             jobs that it has begun
events       what is told meanwhile
pace         how fast they are done, and how long the rest takes
"""
