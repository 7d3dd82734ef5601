// The smallest outside program: it compiles when mdp::shm is complete by itself.
#include <mdp/shm/shm.hpp>

int main() { return 0; }
