"""The two halves of noout where they are two processes: control, which holds every credential, and public, which holds
none and is what phones and customers reach.

Control opens the one connection there is, tells public what it may show (named documents, signed), and takes along
what people there want done. Public never connects to anything.
"""
