MODES = ("auto", "online", "offline", "disabled")


def mirror(summaries, mode):
    pass
