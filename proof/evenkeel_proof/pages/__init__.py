"""The pages of docs/ that are written from the code: run one of these to write it anew."""
