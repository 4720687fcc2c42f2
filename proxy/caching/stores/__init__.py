"""Where answers lie beside the workers' memory: on the machine's disk, or in Redis.

They outlive a restart there, and all workers share them. See docs/adr/0051.
"""
