"""What an NVIDIA H100 computed: recorded results and the programs that gave them."""
