"""One change and its files: what is rendered, how it differs, who approved it, its records.

bundle = render_fleet(intents, role_dir=..., fleet=all_hosts)   # bundle.py: files and releases
plan = manifest(change_id, author, "haproxy", bundle, bases)    # its sha256 is the change's digest
text = unified_diff(base_files, new_files)                      # difference.py: secrets left out
tar = release_archive(change_folder, host)                      # what one host gets on stdin
"""
