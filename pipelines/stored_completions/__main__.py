from stored_completions.cli import main

main()
