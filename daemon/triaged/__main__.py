"""`triaged` and `python -m triaged`."""

from triaged import cli


def main() -> None:
    cli.main(prog_name="triaged")


if __name__ == "__main__":
    main()
