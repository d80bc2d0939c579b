"""Small packages with the interfaces of large ones, for the methods that are layers over them.

They check what they are given as the originals need it, and separate by frequency alone. The tests
copy them to a folder of their own and put that on the path.
"""
